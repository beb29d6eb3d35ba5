/** An image as text, for people: what the engine will do, section by section. Nothing reads it back. */
import * as abi from '../../assembly/abi.ts';
import * as regex from '../../assembly/regex/abi.ts';
import { disassembleCode } from './expression/disassemble.ts';

const KINDS = ['', 'policy', 'hosts', 'agents'];
const SECTIONS = [
  ...['strings', 'plan', 'settings', 'hosts', 'routes', 'predicates', 'names'],
  ...['regexes', 'lists', 'rules', 'code', 'inspection', 'agents', 'literals', 'route sets'],
];
const ACTIONS = ['none', 'block', 'log', 'skip', 'redirect', 'rewrite', 'route', 'rate', 'challenge', 'charge'];
const MODES = ['off', 'log', 'enforce'];
const STAGES = ['head', 'proof', 'body', 'response'];
const VALUES = ['', 'location', 'path', 'query', 'header', 'key'];
const CLIENTS = ['peer', 'xff', 'cf'];
const NONE = 0xffffffff;

/** Never throws: what can't be read is shown as such. */
export function disassemble(image: Uint8Array): string {
  return new Disassembler(image).text();
}

/** Little-endian words of a section; reading past its end gives 0. */
class Section {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  /** The word at a byte offset. */
  at(offset: number): number {
    return offset >= 0 && offset + 4 <= this.bytes.length ? this.#view.getUint32(offset, true) : 0;
  }
  word(index: number): number {
    return this.at(index * 4);
  }
  /** How many records of `size` bytes there can be from `offset` on, at most `claimed`: a lying count can't make us run away. */
  fits(claimed: number, size: number, offset: number): number {
    return Math.min(claimed, Math.max(0, Math.floor((this.bytes.length - offset) / size)));
  }
}

class Disassembler {
  readonly #image: Section;
  readonly #strings: Section;
  readonly #lines: string[] = [];
  readonly #names = new Map<number, string>();

  constructor(image: Uint8Array) {
    this.#image = new Section(image);
    this.#strings = this.#section(abi.SECTION_STRINGS);
  }

  #section(id: number): Section {
    const at = this.#image.at(24 + id * 8);
    const length = this.#image.at(28 + id * 8);
    return new Section(this.#image.bytes.subarray(at, Math.min(at + length, this.#image.bytes.length)));
  }

  #string(at: number, length: number): string {
    if (at + length > this.#strings.bytes.length) return `<bytes ${at} to ${at + length}, outside of the strings>`;
    return new TextDecoder().decode(this.#strings.bytes.subarray(at, at + length));
  }

  #quoted(at: number, length: number): string {
    return JSON.stringify(this.#string(at, length));
  }

  #line(text: string): void {
    this.#lines.push(text);
  }

  text(): string {
    const image = this.#image;
    if (image.at(0) !== abi.MAGIC) return 'not a Sallyport image\n';
    const kind = image.at(8);
    this.#line(`image: ${KINDS[kind] ?? `kind ${kind}`}, version ${image.at(4)}, ${image.at(12)} bytes`);
    for (let id = 0; id < abi.SECTION_COUNT; id++) {
      const length = image.at(28 + id * 8);
      if (length > 0) this.#line(`  ${SECTIONS[id] ?? id}: ${length} bytes at ${image.at(24 + id * 8)}`);
    }
    this.#readNames();
    if (kind === abi.KIND_POLICY) this.#settings();
    this.#hosts(kind === abi.KIND_HOSTS ? 'app' : 'group');
    this.#routes();
    this.#inspections();
    this.#rules();
    this.#lists();
    this.#regexes();
    this.#plan();
    return `${this.#lines.join('\n')}\n`;
  }

  /** Entries of the hash table at `offset` of a section. */
  *#entries(section: Section, offset: number): Generator<readonly [text: string, value: number]> {
    const slots = section.fits(section.at(offset), abi.TABLE_SLOT_BYTES, offset + abi.TABLE_HEADER_BYTES);
    for (let i = 0; i < slots; i++) {
      const slot = offset + abi.TABLE_HEADER_BYTES + i * abi.TABLE_SLOT_BYTES;
      const length = section.at(slot + 8);
      if (length > 0) yield [this.#string(section.at(slot + 4), length), section.at(slot + 12)];
    }
  }

  #readNames(): void {
    const names = this.#section(abi.SECTION_NAMES);
    for (const [name, id] of this.#entries(names, 0)) this.#names.set(id, name);
  }

  #settings(): void {
    const settings = this.#section(abi.SECTION_SETTINGS);
    const list = settings.word(abi.SETTING_TRUSTED_LIST);
    const from = settings.word(abi.SETTING_CLIENT_FROM);
    this.#line('\nsettings');
    this.#line(
      `  client address from ${CLIENTS[from] ?? from}, ${settings.word(abi.SETTING_TRUSTED_HOPS)} trusted hops`,
    );
    this.#line(`  trusted addresses: ${list === NONE ? 'none' : `list ${list}`}`);
    this.#line(`  unknown client: ${settings.word(abi.SETTING_FAIL_CLOSED) === 0 ? 'allowed' : 'refused'}`);
    const rejects = settings.word(abi.SETTING_REJECT_ESCAPED_SLASHES) !== 0;
    this.#line(`  escaped slashes: ${rejects ? 'reject' : 'keep'}`);
    this.#line(`  merge slashes: ${settings.word(abi.SETTING_MERGE_SLASHES) !== 0 ? 'yes' : 'no'}`);
  }

  #hosts(what: string): void {
    const hosts = this.#section(abi.SECTION_HOSTS);
    if (hosts.bytes.length === 0) return;
    this.#line('\nhosts');
    const entries = [...this.#entries(hosts, 0)].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, value] of entries)
      this.#line(`  ${name.startsWith('.') ? `*${name}` : name} -> ${what} ${value}`);
    if (hosts.word(3) !== NONE) this.#line(`  * -> ${what} ${hosts.word(3)}`);
  }

  #routes(): void {
    const routes = this.#section(abi.SECTION_ROUTES);
    if (routes.bytes.length === 0) return;
    const predicates = this.#section(abi.SECTION_PREDICATES);
    const groupsAt = abi.ROUTES_HEADER_BYTES;
    const groups = routes.fits(routes.word(abi.ROUTES_GROUPS), abi.ROUTE_GROUP_BYTES, groupsAt);
    const slotsAt = groupsAt + groups * abi.ROUTE_GROUP_BYTES;
    const slots = routes.fits(routes.word(abi.ROUTES_SLOTS), abi.ROUTE_SLOT_BYTES, slotsAt);
    const candidatesAt = slotsAt + slots * abi.ROUTE_SLOT_BYTES;
    const candidates = routes.fits(routes.word(abi.ROUTES_CANDIDATES), abi.CANDIDATE_BYTES, candidatesAt);
    const list = (first: number, count: number, set = false): void => {
      for (let i = first; i < Math.min(first + count, candidates); i++) {
        const at = candidatesAt + i * abi.CANDIDATE_BYTES;
        const regex = routes.at(at + 16);
        const tests = set
          ? [`path matches pattern ${routes.at(at + 20)}`]
          : regex === NONE
            ? []
            : [`path matches regex ${regex}`];
        const from = routes.at(at + 8);
        const end = Math.min(from + routes.at(at + 12), predicates.bytes.length / abi.PREDICATE_BYTES);
        for (let p = from; p < end; p++) tests.push(this.#predicate(predicates, p * abi.PREDICATE_BYTES));
        const when = tests.length === 0 ? '' : ` when ${tests.join(' and ')}`;
        this.#line(`      route ${routes.at(at)} match ${routes.at(at + 4)}${when}`);
      }
    };
    const byGroup = Map.groupBy(
      Array.from({ length: slots }, (_, i) => slotsAt + i * abi.ROUTE_SLOT_BYTES).filter(
        (at) => routes.at(at + 20) > 0,
      ),
      (at) => routes.at(at + 4) >>> 1,
    );
    this.#line(
      `\nroutes (${routes.word(abi.ROUTES_COUNT)} routes, ${slots} slots, longest probe ${routes.word(abi.ROUTES_PROBE)})`,
    );
    for (let group = 0; group < groups; group++) {
      this.#line(`  group ${group}`);
      const lines = (byGroup.get(group) ?? []).map((at) => {
        const prefix = routes.at(at + 4) & 1;
        return { at, prefix, path: this.#string(routes.at(at + 8), routes.at(at + 12)) };
      });
      lines.sort((a, b) => a.prefix - b.prefix || b.path.length - a.path.length || (a.path < b.path ? -1 : 1));
      const show = (prefix: number): void => {
        for (const line of lines) {
          if (line.prefix !== prefix) continue;
          this.#line(`    ${prefix === 1 ? 'prefix' : 'exact'} ${line.path === '' ? '/' : line.path}`);
          list(routes.at(line.at + 16), routes.at(line.at + 20));
        }
      };
      show(0);
      const regexes = routes.at(groupsAt + group * abi.ROUTE_GROUP_BYTES + 4);
      if (regexes > 0) {
        this.#line('    regular expressions');
        const at = groupsAt + group * abi.ROUTE_GROUP_BYTES;
        const sets = routes.at(at + 12);
        if (sets > 0) this.#line(`      patterns in ${sets} automata from set ${routes.at(at + 8)} on`);
        list(routes.at(at), regexes, sets > 0);
      }
      show(1);
    }
  }

  #predicate(predicates: Section, at: number): string {
    const [kind, name, nameLength] = [predicates.at(at), predicates.at(at + 4), predicates.at(at + 8)];
    const value = predicates.at(at + 12);
    const text = this.#quoted(value, predicates.at(at + 16));
    const header = this.#names.get(name) ?? `name ${name}`;
    if (kind === abi.PREDICATE_METHOD) return `method is ${text}`;
    if (kind === abi.PREDICATE_HEADER_EXACT) return `header ${header} is ${text}`;
    if (kind === abi.PREDICATE_HEADER_REGEX) return `header ${header} matches regex ${value}`;
    const parameter = this.#quoted(name, nameLength);
    if (kind === abi.PREDICATE_QUERY_EXACT) return `query ${parameter} is ${text}`;
    if (kind === abi.PREDICATE_QUERY_REGEX) return `query ${parameter} matches regex ${value}`;
    return `predicate ${kind}?`;
  }

  #inspections(): void {
    const section = this.#section(abi.SECTION_INSPECTION);
    if (section.bytes.length === 0) return;
    this.#line('\nheader inspection');
    const count = section.fits(section.word(0), abi.INSPECTION_WORDS * 4, 4);
    for (let i = 0; i < count; i++) {
      const at = 1 + i * abi.INSPECTION_WORDS;
      const word = (index: number): number => section.word(at + index);
      const route = word(abi.INSPECTION_ROUTE);
      this.#line(`  ${route === NONE ? 'whole app' : `route ${route}`}, ${MODES[word(abi.INSPECTION_MODE)] ?? '?'}`);
      if (word(abi.INSPECTION_MAX_COUNT) > 0) this.#line(`    at most ${word(abi.INSPECTION_MAX_COUNT)} headers`);
      if (word(abi.INSPECTION_MAX_LENGTH) > 0)
        this.#line(`    values of at most ${word(abi.INSPECTION_MAX_LENGTH)} bytes`);
      this.#line(`    bytes: ${word(abi.INSPECTION_BYTES) === 1 ? 'visible' : 'utf8'}`);
      let name = word(abi.INSPECTION_NAMES);
      for (const [kind, field] of [
        ['required', abi.INSPECTION_REQUIRED],
        ['forbidden', abi.INSPECTION_FORBIDDEN],
        ['length of', abi.INSPECTION_LENGTHS],
      ] as const) {
        const names = section.fits(word(field), 16, name * 4);
        for (let n = 0; n < names; n++, name += 4) {
          const limit = field === abi.INSPECTION_LENGTHS ? ` at most ${section.word(name + 3)}` : '';
          this.#line(`    ${kind} ${this.#string(section.word(name), section.word(name + 1))}${limit}`);
        }
      }
    }
  }

  #rules(): void {
    const section = this.#section(abi.SECTION_RULES);
    if (section.bytes.length === 0) return;
    this.#line('\nrules');
    const count = section.fits(section.word(0), abi.RULE_WORDS * 4, 8);
    for (let i = 0; i < count; i++) {
      const word = (index: number): number => section.word(2 + i * abi.RULE_WORDS + index);
      const skips = section.fits(word(abi.RULE_SKIP_COUNT), 4, word(abi.RULE_SKIPS) * 4);
      const skipped = Array.from({ length: skips }, (_, n) => section.word(word(abi.RULE_SKIPS) + n));
      const operands = section.fits(word(abi.RULE_OPERAND_COUNT), 12, word(abi.RULE_OPERANDS) * 4);
      this.#line(
        [
          `  ${i}: ${ACTIONS[word(abi.RULE_ACTION)] ?? '?'}, ${MODES[word(abi.RULE_MODE)] ?? '?'}`,
          `stage ${STAGES[word(abi.RULE_STAGE)] ?? '?'}, code ${word(abi.RULE_CODE)}`,
          ...(skipped.length > 0 ? [`skips rules ${skipped.join(' ')}`] : []),
          ...(word(abi.RULE_GROUP) === 0 ? [] : [`routes of group ${word(abi.RULE_GROUP)}`]),
          ...(word(abi.RULE_PHASES) === 0 ? [] : [`skips phases ${word(abi.RULE_PHASES)}`]),
        ].join(', '),
      );
      for (let n = 0; n < operands; n++) {
        const at = word(abi.RULE_OPERANDS) + n * 3;
        this.#line(`     ${VALUES[section.word(at)] ?? '?'} ${section.word(at + 1)}: code ${section.word(at + 2)}`);
      }
    }
    this.#line('\ncode');
    const code = disassembleCode(this.#section(abi.SECTION_CODE).bytes, this.#strings.bytes);
    for (const line of code.split('\n')) if (line !== '') this.#line(`  ${line}`);
  }

  /** Parts of a directory section as [start, end). */
  #parts(section: Section): (readonly [start: number, end: number])[] {
    const count = section.fits(section.word(0), 4, 4);
    const starts = Array.from({ length: count }, (_, i) => section.word(1 + i));
    return starts.map((start, i) => [start, starts[i + 1] ?? section.bytes.length]);
  }

  #lists(): void {
    const section = this.#section(abi.SECTION_LISTS);
    if (section.bytes.length === 0) return;
    this.#line('\nlists');
    for (const [index, [at]] of this.#parts(section).entries()) {
      const data = at + abi.LIST_HEADER_BYTES;
      const [kind, a, b] = [section.at(at), section.at(at + 4), section.at(at + 8)];
      const items: string[] = [];
      if (kind === abi.LIST_ADDRESSES) {
        const four = section.fits(a, 8, data);
        for (let i = 0; i < four; i++)
          items.push(range(dotted(section.at(data + i * 8)), dotted(section.at(data + i * 8 + 4))));
        const six = section.fits(b, 32, data + four * 8);
        for (let i = 0; i < six; i++) {
          const low = data + four * 8 + i * 32;
          items.push(
            range(colons(section.bytes.subarray(low, low + 16)), colons(section.bytes.subarray(low + 16, low + 32))),
          );
        }
      } else if (kind === abi.LIST_STRINGS) {
        if (b !== 0) items.push('""');
        items.push(...[...this.#entries(section, data)].map(([text]) => JSON.stringify(text)).sort());
      }
      const name = ['?', 'addresses', 'strings'][kind] ?? '?';
      this.#line(`  ${index}: ${name} ${items.join(' ')}`);
    }
  }

  #regexes(): void {
    const section = this.#section(abi.SECTION_REGEXES);
    if (section.bytes.length === 0) return;
    this.#line('\nregexes');
    for (const [index, [at, end]] of this.#parts(section).entries()) {
      const dfa = section.at(at + regex.REGEX_DFA);
      const nfa = section.at(at + regex.REGEX_NFA);
      const machines = [
        ...(dfa === 0 ? [] : [`DFA of ${section.at(at + dfa + regex.DFA_STATES)} states`]),
        ...(nfa === 0 ? [] : [`NFA of ${section.at(at + nfa + regex.NFA_STATES)} states`]),
      ];
      const groups = section.at(at + regex.REGEX_GROUPS);
      this.#line(`  ${index}: ${machines.join(', ')}, ${end - at} bytes${groups > 0 ? `, ${groups} groups` : ''}`);
    }
  }

  #plan(): void {
    const section = this.#section(abi.SECTION_PLAN);
    if (section.bytes.length === 0) return;
    this.#line('\nplan');
    const text = new TextDecoder().decode(section.bytes);
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: it is shown as it is.
    }
    for (const line of shown.split('\n')) this.#line(`  ${line}`);
  }
}

function range(low: string, high: string): string {
  return low === high ? low : `${low}-${high}`;
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

function colons(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[i * 2] ?? 0) << 8) | (bytes[i * 2 + 1] ?? 0)).toString(16),
  );
  return groups.join(':');
}
