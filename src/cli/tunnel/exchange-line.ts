/** One exchange of a connector on one line, for people. */
import pc from 'picocolors';
import { printable } from '../accesslog.ts';
import type { Shown } from '../../tunnel/shown.ts';

export function exchangeLine(one: Shown): string {
  const { id, kind, service, started, method, target, host, status, milliseconds, total, bytesIn, bytesOut, error } =
    one;
  const paint = error !== '' || (status ?? 0) >= 500 ? pc.red : (status ?? 0) >= 400 ? pc.yellow : pc.green;
  const outcome = status === null ? (error === '' ? (total === null ? '...' : 'ok') : 'none') : String(status);
  const what = kind === 'tcp' ? 'tcp' : `${printable(method)} ${pc.dim(printable(host))}${printable(target)}`;
  const time = total ?? milliseconds;
  const parts = [
    pc.dim(`#${id}`),
    pc.dim(started.slice(11, 23)),
    paint(outcome.padEnd(3)),
    kind === 'websocket' ? `${what} ${pc.dim('(WebSocket)')}` : what,
    service === '' ? '' : pc.dim(service),
    time === null ? '' : pc.dim(`${time} ms`),
    pc.dim(`${bytesIn} B in, ${bytesOut} B out`),
    error === '' ? '' : pc.red(printable(error)),
  ];
  return parts.filter(Boolean).join('  ');
}
