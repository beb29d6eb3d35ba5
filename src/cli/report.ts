/** Prints what happens in a running deployment: JSON lines for programs, sentences for people. */
import { readFileSync } from 'node:fs';
import pc from 'picocolors';
import { formatDiagnostics, type Diagnostic } from '../compiler/diagnostics.ts';
import { printable, renderAccess, renderDial } from './accesslog.ts';
import type { GatewayEvent } from './gateway.ts';

export function jsonReport(event: GatewayEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** The line as it is, with an `event` in front. */
export function jsonAccess(line: string): void {
  process.stdout.write(`{"event":"access",${line.slice(1)}\n`);
}

export function humanAccess(line: string): void {
  process.stdout.write(`${renderAccess(line)}\n`);
}

export function humanReport(event: GatewayEvent): void {
  const text = eventText(event);
  if (text !== '') process.stdout.write(`${text}\n`);
}

function eventText(event: GatewayEvent): string {
  switch (event.event) {
    case 'ready':
      return `${pc.green('ready')} ${event.url}  apps ${event.apps.join(', ') || 'none'}  generation ${event.generation}\n${event.tunnels === null ? '' : `${pc.dim(`tunnels ${event.tunnels}  sallyport tunnel listen 3000`)}\n`}${pc.dim(`control socket ${event.control}`)}`;
    case 'swapped':
      return `${pc.green('swapped')} generation ${event.generation}, apps ${event.apps.join(', ')} (${event.milliseconds} ms)`;
    case 'rejected':
      return `${renderDiagnostics(event.diagnostics)}\n${pc.red('rejected')} ${event.reason}`.trimStart();
    case 'diagnostics':
      return renderDiagnostics(event.diagnostics);
    case 'restarting':
      return `${pc.yellow('restarting')} with a drain: ${event.reason}`;
    case 'stopped':
      return 'stopped';
    case 'notice':
      return `${pc.yellow('note')} ${event.message}`;
    case 'log':
      return renderDial(event.message) ?? pc.dim(printable(event.message));
    case 'crashed':
      return `${pc.red('crashed')} worker ${event.worker}: ${event.cause}; starting again in ${event.restartIn} ms`;
    case 'restarted':
      return `${pc.green('restarted')} worker ${event.worker}, pid ${event.pid}`;
    case 'recycling':
      return `${pc.yellow('recycling')} worker ${event.worker}: ${event.cause}`;
  }
}

/** Problems with the lines of the files they are in. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[]): string {
  return formatDiagnostics(diagnostics, { readText, color: pc.isColorSupported }).trimEnd();
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
