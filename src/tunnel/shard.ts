/** Virtual shards of Durable Objects on-prem: which process of a deployment has which objects. */

/** Fixed for ever: files lie by it. */
export const OBJECT_SHARDS = 256;

/** Index of the process that has a shard. */
export function ownerOf(shard: number, processes: number): number {
  return Math.floor((shard * processes) / OBJECT_SHARDS);
}

/** The shard of an object, by its id in hex: the first byte, which the runtime makes from a keyed hash of the name. */
export function shardOf(id: string): number {
  return Number.parseInt(id.slice(0, 2), 16);
}
