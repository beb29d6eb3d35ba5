/** `--agents NAME[=VALUE]`: what an operator chooses about requests that agents sign; docs/agents.md says what each means. */
import { isIP } from 'node:net';
import type { AgentOptions } from '../platform/platform.ts';
import { Failure } from './failure.ts';
import { integer } from './options.ts';

type Writable = { -readonly [Name in keyof AgentOptions]: AgentOptions[Name] };
type Setter = (options: Writable, value: string | null) => void;

const flag = (name: string, set: (options: Writable) => void): Setter => {
  return (options, value) => {
    if (value !== null) throw new Failure(`--agents ${name} takes no value`);
    set(options);
  };
};
const oneOf = <T extends string>(
  name: string,
  values: readonly T[],
  set: (options: Writable, value: T) => void,
): Setter => {
  return (options, value) => {
    const found = values.find((one) => one === value);
    if (found === undefined) throw new Failure(`--agents ${name}= takes ${values.join(' or ')}, not "${value ?? ''}"`);
    set(options, found);
  };
};

const SETTERS: Readonly<Record<string, Setter>> = {
  wire: oneOf('wire', ['strict', 'compat'], (options, value) => (options.wire = value)),
  nonce: oneOf('nonce', ['optional', 'required'], (options, value) => (options.nonce = value)),
  'max-lifetime': (options, value) =>
    (options.maxLifetime = integer(value ?? '', '--agents max-lifetime=', 1, 31_536_000)),
  skew: (options, value) => (options.skew = integer(value ?? '', '--agents skew=', 0, 3600)),
  https: flag('https', (options) => (options.https = true)),
  insecure: flag('insecure', (options) => (options.insecure = true)),
  'any-port': flag('any-port', (options) => (options.anyPort = true)),
  dns: (options, value) => {
    const url = URL.parse(value ?? '');
    if (
      url === null ||
      !/^https?:$/.test(url.protocol) ||
      url.username !== '' ||
      url.password !== '' ||
      url.hash !== ''
    )
      throw new Failure(`--agents dns= takes the https URL of a resolver, not "${value ?? ''}"`);
    options.dns = url.href;
  },
  'trusted-host': (options, value) => {
    if (value === null || URL.parse(`http://${value}`)?.host !== value)
      throw new Failure(`--agents trusted-host= takes host:port, not "${value ?? ''}"`);
    options.trustedHosts = [...(options.trustedHosts ?? []), value];
  },
};

/** null for `off`. */
export function readAgentOptions(given: readonly string[]): AgentOptions | null {
  if (given.length === 1 && given[0] === 'off') return null;
  const options: Writable = {};
  for (const entry of given) {
    const equals = entry.indexOf('=');
    const name = equals < 0 ? entry : entry.slice(0, equals);
    const set = Object.hasOwn(SETTERS, name) ? SETTERS[name] : undefined;
    if (set === undefined)
      throw new Failure(`--agents takes off, alone, or ${Object.keys(SETTERS).join(', ')}; not "${name}"`);
    set(options, equals < 0 ? null : entry.slice(equals + 1));
  }
  const resolver = options.dns === undefined ? null : new URL(options.dns);
  if (resolver?.protocol === 'http:' && options.trustedHosts?.includes(resolver.host) !== true)
    throw new Failure(`--agents dns= takes the https URL of a resolver, not "${options.dns}"`);
  return options;
}

/** What the network for keys lets through: the public one, and the addresses of hosts that a test trusts. */
export function publicNetwork({ trustedHosts = [] }: AgentOptions): string[] {
  const allow = ['public'];
  for (const host of trustedHosts) {
    const name = URL.parse(`http://${host}`)?.hostname.replace(/^\[|\]$/g, '') ?? '';
    if (isIP(name) === 4) allow.push(`${name}/32`);
    else if (isIP(name) === 6) allow.push(`${name}/128`);
    else if (name === 'localhost') allow.push('127.0.0.1/32', '::1/128');
  }
  return [...new Set(allow)];
}
