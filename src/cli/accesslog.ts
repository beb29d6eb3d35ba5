/** Access-log lines for people: one line per request with what was decided. The JSON form is what the worker writes. */
import pc from 'picocolors';

/** Shows a parsed event of the worker; fields that are not there are left out. */
export function renderAccess(entry: Readonly<Record<string, unknown>>): string {
  const text = (name: string) => (typeof entry[name] === 'string' ? printable(entry[name]) : '');
  const number = (name: string) => (typeof entry[name] === 'number' ? entry[name] : 0);
  const status = number('status');
  const paint = status >= 500 ? pc.red : status >= 400 ? pc.yellow : pc.green;
  const at = typeof entry['time'] === 'string' ? new Date(entry['time']) : new Date();
  const clock = Number.isNaN(at.getTime()) ? '' : at.toISOString().slice(11, 23);
  const host = text('host');
  const target = `${host === '' ? '' : pc.dim(host)}${text('path')}${text('query')}`;
  const where = [text('app'), text('route')].filter(Boolean).join('/');
  const parts = [
    pc.dim(clock),
    paint(String(status || '---')),
    text('method').padEnd(4),
    target,
    pc.dim(`${number('duration').toFixed(1)} ms`),
    where === '' ? '' : pc.dim(where),
    verdictText(entry['verdict'] ?? entry['verdicts']),
    text('agent') === '' ? '' : pc.dim(`agent ${text('agent')}`),
  ];
  return parts.filter(Boolean).join('  ');
}

function verdictText(verdict: unknown): string {
  if (Array.isArray(verdict)) return verdict.map(verdictText).filter(Boolean).join(' ');
  if (typeof verdict === 'string') return printable(verdict);
  if (typeof verdict !== 'object' || verdict === null) return '';
  const { action, rule, reason, mode } = verdict as Record<string, unknown>;
  if (typeof action !== 'string' || action === 'allow') return action === 'allow' ? 'allow' : '';
  const said = [rule, reason].filter((part): part is string => typeof part === 'string' && part !== '').map(printable);
  const text = `${printable(action)}${mode === 'log' ? ' (log only)' : ''} ${[...new Set(said)].join(': ')}`.trim();
  return action === 'block' ? (mode === 'log' ? pc.yellow(text) : pc.red(text)) : text;
}

/** SAFETY: requests are hostile, and a terminal obeys escape sequences: control characters are shown, not sent. */
export function printable(text: string): string {
  const shown = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return shown.length > 300 ? `${shown.slice(0, 299)}…` : shown;
}
