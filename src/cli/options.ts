/** What citty leaves out: unknown options and arguments are an error, and an option may be given several times. */
import type { ArgsDef } from 'citty';
import { Failure } from './failure.ts';

interface Option {
  readonly name: string;
  readonly value: string | null;
}

/** Name of an argument that is no option. */
const POSITIONAL = '';

/** Options and other arguments in `rawArgs` as they were written; behind `--` there are no options. */
function* written(rawArgs: readonly string[], args: ArgsDef): Generator<Option> {
  let options = true;
  for (let i = 0; i < rawArgs.length; i++) {
    const argument = rawArgs[i] ?? '';
    if (options && argument === '--') {
      options = false;
      continue;
    }
    if (!options || argument === '-' || !argument.startsWith('-')) {
      yield { name: POSITIONAL, value: argument };
      continue;
    }
    const long = argument.startsWith('--');
    const equals = argument.indexOf('=');
    const spelled = long ? argument.slice(2, equals < 0 ? undefined : equals) : argument.slice(1, 2);
    const name = nameOf(spelled, args);
    if (name === null) throw new Failure(`there is no option ${long ? '--' : '-'}${spelled}; --help lists them`);
    if (args[name]?.type === 'boolean') {
      yield { name, value: null };
    } else if (long && equals >= 0) {
      yield { name, value: argument.slice(equals + 1) };
    } else if (!long && argument.length > 2) {
      yield { name, value: argument.slice(2) };
    } else {
      i++;
      if (rawArgs[i] === undefined) throw new Failure(`${argument} needs a value`);
      yield { name, value: rawArgs[i] ?? '' };
    }
  }
}

function nameOf(spelled: string, args: ArgsDef): string | null {
  for (const [name, definition] of Object.entries(args)) {
    if (definition.type === 'positional') continue;
    const aliases = 'alias' in definition && definition.alias !== undefined ? [definition.alias].flat() : [];
    if (spelled === name || aliases.includes(spelled)) return name;
    if (definition.type === 'boolean' && spelled === `no-${name}`) return name;
  }
  return spelled === 'help' || spelled === 'h' ? 'help' : null;
}

/** Throws a Failure when an option is not one of `args`, or an argument is one too many: `valueHint: 'FILE...'` takes several. */
export function refuseUnknown(rawArgs: readonly string[], args: ArgsDef): void {
  const positional = Object.values(args).filter(({ type }) => type === 'positional');
  let left = positional.some(({ valueHint }) => valueHint?.endsWith('...') === true) ? Infinity : positional.length;
  for (const { name, value } of written(rawArgs, args))
    if (name === POSITIONAL && --left < 0)
      throw new Failure(`nothing takes "${value}"; --help shows what belongs there`);
}

/** Every value that was given for an option, in order. */
export function every(rawArgs: readonly string[], args: ArgsDef, name: string): string[] {
  return [...written(rawArgs, args)].flatMap((option) =>
    option.name === name && option.value !== null ? [option.value] : [],
  );
}

/** A whole number in a range, or a Failure that names the option. */
export function integer(value: string, option: string, min: number, max: number): number {
  if (!/^\d{1,10}$/.test(value) || Number(value) < min || Number(value) > max) {
    throw new Failure(`${option} takes a whole number from ${min} to ${max}, not "${value}"`);
  }
  return Number(value);
}

/** `host:port`, `[v6]:port`, or a port alone. */
export function listenAddress(value: string, option = '--listen'): { host: string; port: number } {
  const parts = /^(?:(\[[0-9a-fA-F:.]+\]|[^:\s/[\]]+):)?(\d{1,5})$/.exec(value);
  if (parts === null || Number(parts[2]) > 65535)
    throw new Failure(`${option} takes host:port, such as 127.0.0.1:8080, not "${value}"`);
  const host = (parts[1] ?? '127.0.0.1').replace(/^\[|\]$/g, '');
  return { host: host === '*' ? '::' : host, port: Number(parts[2]) };
}

/** The policy files that a command was given; the one that `init` writes when it was given none. */
export const policyFiles = (given: readonly string[]): readonly string[] =>
  given.length > 0 ? given : ['sallyport.yaml'];
