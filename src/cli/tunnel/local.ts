/** Asks the connectors of this user that run on this machine. */
import { request } from 'node:http';
import { unixRequest } from '../http.ts';
import { Failure } from '../failure.ts';
import { readLines } from '../lines.ts';
import type { ConnectorStatus } from './inspector.ts';
import { runningConnectors, type Found } from './local-state.ts';

const PATIENCE = 5000; // ms
const REPLAY_PATIENCE = 120_000;

export interface LocalConnector extends Found {
  readonly status: ConnectorStatus;
}

/** Those that answer. */
export async function localConnectors(): Promise<LocalConnector[]> {
  const found = await Promise.all(
    runningConnectors().map(async (one) => {
      try {
        const { body } = await unixRequest(one.socket, 'GET', '/v1/status', undefined, PATIENCE);
        return { ...one, status: JSON.parse(body) as ConnectorStatus };
      } catch {
        return null; // it is just ending, or its id belongs to another process now
      }
    }),
  );
  return found.filter((one) => one !== null);
}

/** The one of that name; the only one, where no name is given. */
export async function connectorNamed(name: string | undefined): Promise<LocalConnector> {
  const all = await localConnectors();
  const fitting = name === undefined ? all : all.filter((one) => one.name === name || String(one.pid) === name);
  if (fitting.length === 1) return fitting[0]!;
  if (fitting.length === 0)
    throw new Failure(
      name === undefined
        ? 'no connector of yours is running on this machine; sallyport tunnel listen 3000 starts one'
        : `no connector of yours on this machine is called ${name} (sallyport tunnel ps lists them); requests are kept where the connector runs, and seen there only. From where ${name} is connected: sallyport tunnel status ${name}`,
    );
  const choices = fitting.map(({ name: own, pid }) =>
    fitting.filter((one) => one.name === own).length > 1 ? `${pid} (${own})` : own,
  );
  throw new Failure(`several connectors are running; choose one by its name or process: ${choices.join(', ')}`);
}

/** The answer as JSON, or a Failure with its reason. */
export async function askConnector(one: LocalConnector, method: string, path: string): Promise<unknown> {
  const { status, body } = await unixRequest(one.socket, method, path, undefined, REPLAY_PATIENCE);
  const value = JSON.parse(body) as { reason?: string };
  if (status !== 200) throw new Failure(value.reason ?? `the connector refuses with status ${status}`);
  return value;
}

/** Calls back with every line until the connector ends them. */
export function followConnector(one: LocalConnector, path: string, onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: one.socket, path, agent: false }, (answer) => {
      readLines(answer, onLine, MAX_LINE);
      answer.once('end', resolve).once('error', () => resolve()); // the connector has gone
    });
    outgoing.once('error', reject).end();
  });
}

/** Characters of an exchange with two heads and both its bodies, where JSON escapes each byte. */
const MAX_LINE = 2_097_152;
