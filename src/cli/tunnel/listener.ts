/** What `tunnel listen` says while it runs: an event a line for programs, sentences and a line of progress for people. */
import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import type { ConnectorEvents } from '../../tunnel/connector/tunnel.ts';
import type { Exchange } from '../../tunnel/exchange.ts';
import { printable } from '../accesslog.ts';
import { exchangeLine } from './exchange-line.ts';
import { shown, type Inspection } from '../../tunnel/shown.ts';

type ReadyEvent = ConnectorEvents['ready'][0] & {
  readonly edge: URL;
  readonly services: Readonly<Record<string, string>>;
};

export interface Listener {
  connecting(name: string, edge: URL): void;
  ready(event: ReadyEvent): void;
  request(exchange: Exchange): void;
  response(exchange: Exchange): void;
  end(exchange: Exchange): void;
  reconnecting(event: ConnectorEvents['reconnecting'][0]): void;
  draining(streams: number, milliseconds: number): void;
  /** `reason` is '' after a signal. */
  closed(reason: string): void;
}

export function jsonListener(inspection: Inspection): Listener {
  const write = (event: string, fields: object): void =>
    void process.stdout.write(`${JSON.stringify({ event, time: new Date().toISOString(), ...fields })}\n`);
  return {
    connecting: (name, edge) => write('connecting', { name, edge: edge.origin }),
    ready: ({ name, url, after, edge, services }) =>
      write('ready', { name, url, edge: edge.origin, milliseconds: Math.round(after), services, pid: process.pid }),
    request: (exchange) => write('request', shown(exchange, inspection)),
    response: (exchange) => write('response', shown(exchange, inspection)),
    end: (exchange) => write('end', shown(exchange, inspection)),
    reconnecting: (event) => write('reconnecting', event),
    draining: (streams, milliseconds) => write('draining', { streams, milliseconds }),
    closed: (reason) => write('closed', { reason }),
  };
}

export function humanListener(inspection: Inspection): Listener {
  const progress = process.stdout.isTTY === true;
  let pending = false; // a line of progress stands there
  const say = (line: string): void => {
    process.stdout.write(pending ? `\r\u001b[K${line}\n` : `${line}\n`);
    pending = false;
  };
  const wait = (line: string): void => {
    if (!progress) return say(line);
    // A line that wraps could not be taken back.
    const plain = stripVTControlCharacters(line);
    const room = process.stdout.columns || 80;
    process.stdout.write(`\r\u001b[K${plain.length < room ? line : `${plain.slice(0, room - 2)}…`}`);
    pending = true;
  };
  let first = true;
  let told = '';
  return {
    connecting: (name, edge) => {
      if (progress) wait(pc.dim(`connecting ${name} to ${edge.origin} …`));
    },
    ready: ({ name, url, after, edge, services }) => {
      told = '';
      if (!first) return say(`${pc.green('ready')} again after ${Math.round(after)} ms`);
      first = false;
      const where = url === '' ? pc.dim('by policies and access only') : pc.bold(url);
      const to = Object.entries(services).map(([service, target]) =>
        service === '' ? target : `${service}=${target}`,
      );
      say(`${pc.green('ready')} ${where}  ->  ${to.join(', ')}  ${pc.dim(`(${Math.round(after)} ms)`)}`);
      say(pc.dim(`tunnel ${name} at ${edge.origin}; Ctrl-C ends it, sallyport tunnel logs ${name} shows its requests`));
    },
    request: () => {},
    response: () => {},
    end: (exchange) => say(exchangeLine(shown(exchange, inspection))),
    reconnecting: ({ reason, delay, left }) => {
      const wording = `${first ? 'no connection' : 'connection lost'}: ${printable(reason)}; dialling again in ${delay} ms`;
      if (left > 0) return say(`${pc.yellow('note')} ${wording}, ${left} left`);
      // A log of an edge that is away for the night says so once.
      if (!progress && reason === told) return;
      told = reason;
      wait(`${pc.yellow('reconnecting')} ${wording}`);
    },
    draining: (streams, milliseconds) =>
      say(`${pc.yellow('draining')} ${streams} open for up to ${milliseconds / 1000} s; Ctrl-C again ends them`),
    closed: (reason) => {
      if (reason === '') say('stopped');
      else if (pending) say('');
    },
  };
}
