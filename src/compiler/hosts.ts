/** Host tables: host name -> app (KIND_HOSTS) and, inside a policy, host name -> host group. */
import { KIND_HOSTS, SECTION_HOSTS, SECTION_STRINGS } from '../../assembly/abi.ts';
import { finishHash, hashTable, ImageWriter, runningHash, StringPool } from './image.ts';

const encoder = new TextEncoder();

/**
 * SECTION_HOSTS. Names are lower case: exact, `*.suffix` (one or more labels), or `*` for any host; each once.
 * Hashed from the last byte to the first, so that the engine gets the hash of every suffix in one pass.
 */
export function hostTable(values: ReadonlyMap<string, number>, strings: StringPool): Uint8Array {
  let any = 0xffffffff;
  const entries = [];
  for (const [name, value] of values) {
    if (name === '*') any = value;
    else {
      const key = name.startsWith('*.') ? name.slice(1) : name;
      entries.push({ key, hash: finishHash(runningHash(encoder.encode(key).toReversed())), value });
    }
  }
  return hashTable(entries, any, strings);
}

/** Host names by group: names that the same routes take are one group, so that tables don't grow with every name. */
export interface HostGroups {
  /** Host name -> group. */
  readonly names: ReadonlyMap<string, number>;
  readonly count: number;
  /** The groups of one of the lists that were given. */
  of(hostnames: readonly string[]): readonly number[];
}

/** Groups the names of all lists; linear in the distinct lists. Routes that name the same hosts best share one array. */
export function groupHosts(lists: Iterable<readonly string[]>): HostGroups {
  const marks = new Map<string, number[]>(); // numbers of the lists that a name is in
  const known = new Set<readonly string[]>();
  for (const list of lists) {
    if (known.has(list)) continue;
    for (const name of new Set(list)) {
      const mark = marks.get(name);
      if (mark === undefined) marks.set(name, [known.size]);
      else mark.push(known.size);
    }
    known.add(list);
  }
  const groups = new Map<string, number>();
  const names = new Map<string, number>();
  for (const [name, mark] of marks) {
    const key = mark.join();
    const group = groups.get(key) ?? groups.size;
    groups.set(key, group);
    names.set(name, group);
  }
  const found = new Map<readonly string[], readonly number[]>();
  return {
    names,
    count: groups.size,
    of(hostnames) {
      let list = found.get(hostnames);
      if (list === undefined) found.set(hostnames, (list = [...new Set(hostnames.map((name) => names.get(name)!))]));
      return list;
    },
  };
}

/** Image of one deployment's host names; value = index of the app. Throws RangeError when two apps claim one name. */
export function compileHosts(
  apps: readonly { readonly name: string; readonly hostnames: readonly string[] }[],
): Uint8Array {
  const values = new Map<string, number>();
  for (const [index, app] of apps.entries()) {
    for (const hostname of app.hostnames) {
      const owner = values.get(hostname.toLowerCase()) ?? index;
      if (owner !== index) throw new RangeError(`host ${hostname} is claimed by ${apps[owner]!.name} and ${app.name}`);
      values.set(hostname.toLowerCase(), index);
    }
  }
  const strings = new StringPool();
  const table = hostTable(values, strings);
  const image = new ImageWriter(KIND_HOSTS);
  image.section(SECTION_HOSTS, table);
  image.section(SECTION_STRINGS, strings.bytes());
  return image.finish();
}
