/**
 * How a socket begins. The connector asks for a lane that it had with the header `sallyport-resume` of the upgrade; the
 * edge's first message is a text, the welcome: which lane this is, what the edge has of it, and where the tunnel can be
 * reached. Frames are binary; beside the welcome the only texts are `ping` and `pong`, which the edge's runtime answers
 * while the object sleeps.
 */
import { CLOSE, FrameError } from './frame.ts';

export const TUNNEL_PATH = '/.well-known/sallyport/tunnel';
export const ACCESS_PATH = '/.well-known/sallyport/access';
export const RESUME_HEADER = 'sallyport-resume';
export const PING_TEXT = 'ping';
export const PONG_TEXT = 'pong';
export const GRACE = 10_000; // ms for which either end keeps a lane without a socket
const MAX_WELCOME = 4096; // characters

export interface Welcome {
  /** Id and token for a resume: letters, digits, `-` and `_`. */
  readonly lane: string;
  readonly token: string;
  /** True: the lane goes on, and the edge has `received` bytes of what the connector sent. */
  readonly resumed: boolean;
  readonly received: number;
  /** Where the public reaches the tunnel; '' where it is private. */
  readonly url: string;
}

export interface Resume {
  readonly lane: string;
  readonly token: string;
  /** Bytes of the lane that the connector has. */
  readonly received: number;
}

const ID = /^[A-Za-z0-9_-]{1,64}$/;
const RESUME = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,64})\.(\d{1,16})$/;

export function writeResume({ lane, token, received }: Resume): string {
  return `${lane}.${token}.${received}`;
}

/** Null when the header is of another form. */
export function readResume(value: string): Resume | null {
  const [, lane, token, received] = RESUME.exec(value) ?? [];
  if (lane === undefined || token === undefined || !Number.isSafeInteger(Number(received))) return null;
  return { lane, token, received: Number(received) };
}

export function writeWelcome(welcome: Welcome): string {
  return JSON.stringify(welcome);
}

/** Throws FrameError when the text is none. */
export function readWelcome(text: string): Welcome {
  const { lane, token, resumed, received, url } = parsed(text);
  if (typeof lane !== 'string' || typeof token !== 'string' || !ID.test(lane) || !ID.test(token))
    throw new FrameError(CLOSE.malformed, 'no welcome');
  if (typeof resumed !== 'boolean' || !Number.isSafeInteger(received) || (received as number) < 0)
    throw new FrameError(CLOSE.malformed, 'no welcome');
  if (typeof url !== 'string' || (url !== '' && !/^https?:\/\/[!-~]+$/.test(url)))
    throw new FrameError(CLOSE.malformed, 'a welcome without url');
  return { lane, token, resumed, received: received as number, url };
}

function parsed(text: string): Partial<Record<keyof Welcome, unknown>> {
  try {
    return text.length > MAX_WELCOME ? {} : Object(JSON.parse(text));
  } catch {
    return {};
  }
}
