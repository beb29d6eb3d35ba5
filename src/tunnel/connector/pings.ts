/** ms between pings. With streams open silence is noticed within the grace for which the edge keeps them. */
export interface Pings {
  readonly least: number;
  readonly most: number;
  readonly busy: number;
}
export const PINGS: Pings = { least: 15_000, most: 25_000, busy: 3000 };
