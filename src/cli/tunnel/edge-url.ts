/** Which edge a connector dials: the one that is named, else the deployment of this directory, else where `serve` listens. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../accesslog.ts';
import { Failure } from '../failure.ts';

const STATE_FOLDER = '.sallyport'; // of gateway.ts, which takes longer to load than a tunnel to open
const DEFAULT_EDGE = 'http://127.0.0.1:8080';

export interface Edge {
  readonly url: URL;
  /** True when nobody said so: where nothing answers, nothing will. */
  readonly guessed: boolean;
}

export function edgeOf(option: string | undefined, env: NodeJS.ProcessEnv = process.env): Edge {
  const named = option ?? env['SALLYPORT_EDGE'];
  if (named !== undefined && named !== '') return { url: parseEdge(named), guessed: false };
  return { url: parseEdge(running() ?? DEFAULT_EDGE), guessed: true };
}

export function parseEdge(value: string): URL {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `https://${value}`;
  const url = URL.parse(text);
  if (
    url === null ||
    !/^(https?|wss?):$/.test(url.protocol) ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.hash !== ''
  )
    throw new Failure(
      `--edge takes the URL of an edge without path, such as https://edge.example.com, not "${printable(value)}"`,
    );
  if (url.username !== '' || url.password !== '') throw new Failure('--edge takes no user name: rights are in keys');
  return url;
}

/** The only deployment that was started in this directory. */
function running(): string | null {
  const urls = globSync(join(STATE_FOLDER, '*', 'serve.json')).flatMap((file) => {
    try {
      const { url } = JSON.parse(readFileSync(file, 'utf8')) as { url?: unknown };
      return typeof url === 'string' ? [url] : [];
    } catch {
      return []; // it is just being written, or gone
    }
  });
  // What listens on every address is reached on this machine's own.
  return urls.length === 1 ? urls[0]!.replace('//[::]', '//127.0.0.1').replace('//0.0.0.0', '//127.0.0.1') : null;
}
