/** Talks to the control API of a deployment: over its unix socket on this machine, or signed to its control host. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contentDigest } from '../control/signature.ts';
import { printable } from './accesslog.ts';
import { Failure } from './failure.ts';
import { STATE_FOLDER } from './gateway.ts';
import { unixRequest, urlRequest, type Answer } from './http.ts';
import { signed } from './operator.ts';

const PATIENCE = 60_000; // ms: a reload compiles the policies

/** Where the deployment is; neither: the only one that was started in this directory. */
export interface Place {
  readonly control?: string | undefined;
  readonly url?: string | undefined;
}

/** Options of the commands that ask any deployment. */
export const placeArguments = {
  control: {
    type: 'string',
    description: 'control socket; default: of the deployment started in this directory',
    valueHint: 'path',
  },
  url: {
    type: 'string',
    description: 'control host of a deployment on Cloudflare; requests are signed with the operator key',
    valueHint: 'https://host',
  },
} as const;

export interface ControlAnswer extends Answer {
  /** Whom we asked, for messages. */
  readonly from: string;
}

/** `value` is sent as JSON. */
export async function askControl(place: Place, method: string, path: string, value?: unknown): Promise<ControlAnswer> {
  if (place.control !== undefined && place.url !== undefined)
    throw new Failure('--control and --url name two deployments; give one of them');
  const origin = place.url === undefined ? null : controlOrigin(place.url);
  const from = origin === null ? (place.control ?? onlySocket()) : origin.origin;
  const body = value === undefined ? undefined : JSON.stringify(value);
  const ask = async (): Promise<Answer> => {
    if (origin === null) return await unixRequest(from, method, path, body, PATIENCE);
    const url = new URL(path, origin);
    const digest = body === undefined ? null : await contentDigest(new TextEncoder().encode(body));
    return await urlRequest(url, method, await signed({ method, url, digest }), PATIENCE, body);
  };
  try {
    return { from, ...(await ask()) };
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') throw new Failure(`${from} belongs to another user`);
    throw new Failure(
      code === 'ENOENT' || code === 'ECONNREFUSED'
        ? `nothing is running behind ${from}`
        : `${from} does not answer (${message || code})`,
    );
  }
}

/** The JSON that was answered; whatever the status is. */
export function jsonOf({ from, status, body }: ControlAnswer): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw new Failure(`${from} does not speak the control API (status ${status})`);
  }
}

/** The answer to a question that is answered with 200, or a Failure with what was said instead. */
export function requireOk(answer: ControlAnswer): ControlAnswer {
  if (answer.status === 200 || answer.status === 201) return answer;
  const { reason, detail = reason } = (jsonOf(answer) ?? {}) as { detail?: unknown; reason?: unknown };
  // What is wrong with the question needs no word of whom it was put to.
  if (typeof detail === 'string' && answer.status < 500) throw new Failure(printable(detail));
  const said = typeof detail === 'string' ? `: ${printable(detail)}` : '';
  throw new Failure(`${answer.from} refuses with status ${answer.status}${said}`);
}

/** What is signed can be read on its way without TLS, so that is for this machine only. */
function controlOrigin(value: string): URL {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `https://${value}`);
  const local =
    url !== null && (/(^|\.)localhost$/.test(url.hostname) || ['127.0.0.1', '[::1]'].includes(url.hostname));
  const bare = url !== null && url.href === `${url.origin}/`;
  if (url === null || !bare || !(url.protocol === 'https:' || (url.protocol === 'http:' && local)))
    throw new Failure(`--url takes https://host of the control API, without path, not "${printable(value)}"`);
  return url;
}

function onlySocket(): string {
  const found = globSync(join(STATE_FOLDER, '*', 'serve.json')).map(
    (file) => (JSON.parse(readFileSync(file, 'utf8')) as { control: string }).control,
  );
  if (found.length === 1) return found[0]!;
  if (found.length === 0)
    throw new Failure(`no deployment was started in this directory; name its socket with --control`);
  throw new Failure(
    `several deployments were started in this directory; choose one with --control: ${found.join(', ')}`,
  );
}
