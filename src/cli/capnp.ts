/** Writes Cap'n Proto text, the form in which workerd reads its configuration. */

/** A file whose bytes become the value; the path is relative to the configuration file. */
export class Embed {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
}

export type CapnpValue =
  string | number | boolean | Embed | readonly CapnpValue[] | { readonly [field: string]: CapnpValue | undefined };

/** One value. Fields that are `undefined` are left out, which is how a null pointer is written. */
export function capnpText(value: CapnpValue): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Embed) return `embed ${quoted(value.path)}`;
  if (Array.isArray(value)) return `[${(value as readonly CapnpValue[]).map(capnpText).join(', ')}]`;
  const fields = Object.entries(value as { [field: string]: CapnpValue | undefined });
  return `(${fields.flatMap(([name, v]) => (v === undefined ? [] : [`${name} = ${capnpText(v)}`])).join(', ')})`;
}

/** A whole configuration file with the constant that `workerd serve FILE` looks for. */
export function capnpConfig(config: CapnpValue): string {
  return `using Workerd = import "/workerd/workerd.capnp";\nconst config :Workerd.Config = ${capnpText(config)};\n`;
}

/** SAFETY: quotes, backslashes and control characters are escaped, so no value can end its literal early. */
function quoted(text: string): string {
  const escaped = text.replace(/["\\\u0000-\u001f\u007f]/g, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}
