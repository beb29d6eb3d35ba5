/** What of a request is not for logs: values of fields, and of parameters in a target, that are named like a secret. */
import type { Fields } from './head.ts';

export const REDACTED = '(hidden)';

const SECRET =
  /auth(?!or\b|ors\b)|cookie|key$|api[-_]?key|secret|token|passw|pwd$|credential|signature|^sig$|session|sid$|jwt|assertion|^code$|otp$/i;
/** These are named like one, and are none. */
const PLAIN = new Set(['sec-websocket-key', 'www-authenticate', 'proxy-authenticate', ':authority']);
/** Fields whose values are URLs. */
const LOCATIONS = new Set(['referer', 'location', 'content-location']);

export function redactedFields(fields: Fields): Fields {
  return fields.map(([name, value]) => {
    const lower = name.toLowerCase();
    if (LOCATIONS.has(lower)) return [name, redactedTarget(value)] as const;
    return [name, SECRET.test(lower) && !PLAIN.has(lower) ? REDACTED : value] as const;
  });
}

/** A path or a URL without the values of such parameters, in the query and behind `#`. */
export function redactedTarget(target: string): string {
  const begin = target.search(/[?#]/);
  if (begin < 0) return target;
  const parameters = target
    .slice(begin)
    .replaceAll(/([^?#&;=]{1,64})=([^&;#]+)/g, (whole, name: string) =>
      SECRET.test(decoded(name)) ? `${name}=${REDACTED}` : whole,
    );
  return target.slice(0, begin) + parameters;
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
