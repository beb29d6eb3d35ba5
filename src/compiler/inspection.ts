/** Header inspection profiles to SECTION_INSPECTION. */
import * as abi from '../../assembly/abi.ts';
import type { Reporter } from './diagnostics.ts';
import type { Pools } from './image.ts';
import type { InspectionSource } from './sources.ts';

const WHOLE_APP = 0xffffffff;

/** Empty without profiles. Faults are reported. */
export function compileInspections(
  inspections: readonly InspectionSource[],
  pools: Pools,
  reporter: Reporter,
): Uint8Array {
  if (inspections.length === 0) return new Uint8Array();
  const words = new Array<number>(1 + inspections.length * abi.INSPECTION_WORDS).fill(0);
  words[0] = inspections.length;
  for (const [index, source] of inspections.entries()) {
    const at = 1 + index * abi.INSPECTION_WORDS;
    words[at + abi.INSPECTION_ROUTE] = source.route < 0 ? WHOLE_APP : source.route;
    words[at + abi.INSPECTION_MODE] = source.mode === 'log' ? abi.MODE_LOG : abi.MODE_ENFORCE;
    words[at + abi.INSPECTION_MAX_COUNT] = source.maxCount;
    words[at + abi.INSPECTION_MAX_LENGTH] = source.maxLength;
    words[at + abi.INSPECTION_BYTES] = source.bytes === 'visible' ? 1 : 0;
    words[at + abi.INSPECTION_NAMES] = words.length;
    words[at + abi.INSPECTION_REQUIRED] = source.required.length;
    words[at + abi.INSPECTION_FORBIDDEN] = source.forbidden.length;
    words[at + abi.INSPECTION_LENGTHS] = source.lengths.length;
    for (const name of source.required) {
      if (source.forbidden.some((other) => other.toLowerCase() === name.toLowerCase())) {
        reporter.report(
          'error',
          [...source.path, 'forbidden'],
          'contradiction',
          `${name} is both required and forbidden`,
          { cause: 'no request could pass' },
        );
      }
    }
    const add = (name: string, max: number): void => {
      // The id lets the engine find the header without a search; the place of the name is for the evidence.
      const { at: nameAt, length } = pools.strings.add(name.toLowerCase());
      words.push(nameAt, length, pools.names.add(name), max);
    };
    for (const name of source.required) add(name, 0);
    for (const name of source.forbidden) add(name, 0);
    for (const { name, max } of source.lengths) add(name, max);
  }
  return new Uint8Array(Uint32Array.from(words).buffer);
}
