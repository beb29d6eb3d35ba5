/** Access-log lines for people: one per request, with what was decided. The worker writes them as JSON. */
import pc from 'picocolors';

interface AccessEntry {
  readonly time?: string;
  readonly app?: string;
  readonly route?: string;
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly status?: number;
  readonly ms?: number;
  readonly client?: string;
  readonly agent?: string;
  readonly upstream?: { readonly backend?: string; readonly attempts?: number; readonly error?: string };
  readonly waf?: {
    readonly events?: readonly { readonly rule: number; readonly target: string; readonly score: number }[];
  };
  readonly verdict?: readonly {
    readonly action: string;
    readonly rule: string;
    readonly reason: string;
    readonly mode: string;
  }[];
}

/** A line of src/observe/access-log.ts; one that is none is shown as it is. */
export function renderAccess(line: string): string {
  let entry: AccessEntry;
  try {
    entry = JSON.parse(line) as AccessEntry;
  } catch {
    return printable(line);
  }
  const {
    time = '',
    app = '',
    route = '',
    method = '',
    host = '',
    path = '',
    status = 0,
    ms = 0,
    client = '',
    agent = '',
  } = entry;
  const paint = status >= 500 ? pc.red : status >= 400 ? pc.yellow : pc.green;
  const { backend = '', attempts = 1, error = '' } = entry.upstream ?? {};
  const origin =
    backend === ''
      ? ''
      : `-> ${backend}${attempts > 1 ? ` (${attempts} tries)` : ''}${error === '' ? '' : `: ${error}`}`;
  const parts = [
    pc.dim(time.slice(11, 23)),
    paint(String(status)),
    printable(method).padEnd(4),
    `${pc.dim(printable(host))}${printable(path)}`,
    pc.dim(`${ms} ms`),
    dim(client),
    dim([app, route].filter(Boolean).join('/')),
    dim(origin),
    agent === '' ? '' : dim(`agent ${agent}`),
    verdictText(entry.verdict ?? []),
    wafText(entry.waf?.events ?? []),
  ];
  return parts.filter(Boolean).join('  ');
}

/** A connector's or a guest's dial, as src/router/tunnel.ts notes it; null for any other line. */
export function renderDial(line: string): string | null {
  if (!line.includes('"dial":')) return null;
  try {
    const { time, dial, tunnel, service, peer, status, reason } = JSON.parse(line) as Partial<Record<string, unknown>>;
    if (typeof dial !== 'string' || typeof status !== 'number') return null;
    const place = [service, tunnel].filter((part) => typeof part === 'string' && part !== '').join('.');
    const parts = [
      pc.dim(String(time).slice(11, 23)),
      (status === 101 ? pc.green : pc.yellow)(String(status)),
      `${dial === 'access' ? 'access to' : 'connector of'} ${printable(place) || 'a tunnel'}`,
      dim(String(peer ?? '')),
      typeof reason === 'string' ? pc.yellow(`refused: ${printable(reason)}`) : '',
    ];
    return parts.filter(Boolean).join('  ');
  } catch {
    return null;
  }
}

const dim = (text: string): string => (text === '' ? '' : pc.dim(printable(text)));

function verdictText(verdicts: NonNullable<AccessEntry['verdict']>): string {
  if (verdicts.length === 0) return 'allow';
  const words = verdicts.map(({ action, rule, reason, mode }) => {
    const said = [...new Set([rule, reason].filter(Boolean))].map(printable).join(': ');
    const text = `${printable(action)}${mode === 'log' ? ' (log only)' : ''} ${said}`.trim();
    if (action !== 'block') return text;
    return mode === 'log' ? pc.yellow(text) : pc.red(text);
  });
  return words.join(', ');
}

const MAX_WAF_RULES = 4; // in one line

/** The rules that scored, each with what it looked at. */
function wafText(events: NonNullable<NonNullable<AccessEntry['waf']>['events']>): string {
  const scored = events.filter(({ score }) => score > 0);
  if (scored.length === 0) return '';
  const more = scored.length > MAX_WAF_RULES ? ` and ${scored.length - MAX_WAF_RULES} more` : '';
  const words = scored.slice(0, MAX_WAF_RULES).map(({ rule, target }) => `${rule} ${printable(target)}`);
  return pc.dim(`waf ${words.join(', ')}${more}`);
}

/** SAFETY: requests are hostile, and a terminal obeys escape sequences: control characters are shown, not sent. */
export function printable(text: string): string {
  const shown = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return shown.length > 300 ? `${shown.slice(0, 299)}…` : shown;
}

/** Where `id` follows in a line of src/observe/access-log.ts, behind the time. */
const ACCESS_ID_AT = '{"time":"2026-11-21T08:00:00.000Z"'.length;

/** PERF: access lines are many; they are recognised by how they begin and are not parsed. */
export function isAccessLine(line: string): boolean {
  return line.startsWith('{"time":"') && line.startsWith(',"id":"', ACCESS_ID_AT);
}
