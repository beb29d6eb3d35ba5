/** What an app answers beside its routes. */
import type { SitePlan } from '../plan.ts';

/** Whether the app answers a path that no route takes. */
export function hasDocument({ robots, documents }: SitePlan, path: string): boolean {
  return (
    (robots !== null && robots.text !== '' && path === '/robots.txt') || documents.some((one) => one.path === path)
  );
}
