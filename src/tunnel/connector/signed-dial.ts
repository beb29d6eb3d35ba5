/** What opens a lane at an edge, of a connector or of a guest: where to, and the headers that prove the right to it. */
import { CAPABILITY_HEADER, type Dial, HANDSHAKE_HEADER, signHandshake } from '../capability.ts';
import { RESUME_HEADER, type Resume, writeResume } from '../welcome.ts';
import type { Credential } from './connector.ts';

/** `now` by the edge's clock, in ms since the epoch. */
export async function signedDial(
  edge: URL,
  { capability, key }: Credential,
  place: Pick<Dial, 'path' | 'name' | 'service' | 'socket'>,
  resume: Resume | null,
  now: number,
): Promise<{ readonly url: URL; readonly headers: Readonly<Record<string, string>> }> {
  const url = new URL(place.path, edge);
  url.protocol = /^(https|wss):$/.test(edge.protocol) ? 'wss:' : 'ws:';
  const dial = { ...place, host: url.host, resume: resume?.token ?? '' };
  const headers: Record<string, string> = {
    [CAPABILITY_HEADER]: capability,
    [HANDSHAKE_HEADER]: await signHandshake(key, capability, dial, now),
    ...(resume !== null && { [RESUME_HEADER]: writeResume(resume) }),
  };
  return { url, headers };
}
