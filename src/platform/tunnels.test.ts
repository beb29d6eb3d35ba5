import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FAILURE_HEADER, SESSIONS_HEADER, type TunnelSessionNamespace } from '../tunnel/objects.ts';
import { Unavailable } from './platform.ts';
import { tunnelDial } from './tunnels.ts';

/** Sessions that note what they are asked; `answer` by the index of the session. */
function sessions(answer: (index: number) => Response) {
  const asked: string[] = [];
  const namespace = {
    getByName: (name: string) => ({
      fetch: async (url: string) => {
        asked.push(`${name} ${new URL(url).pathname}`);
        return answer(Number(name.split('#')[1] ?? 0));
      },
    }),
  } as unknown as TunnelSessionNamespace;
  return { asked, dial: tunnelDial(namespace) };
}

const absent = (headers: Record<string, string> = {}): Response =>
  new Response(null, { status: 503, headers: { [FAILURE_HEADER]: 'nobody is there', ...headers } });

test('who has others to ask does not wait for a connector; who has none does', async () => {
  const { asked, dial } = sessions(() => absent());
  await assert.rejects(dial('tunnel:laptop', 'http://laptop/x', {}, true)!, Unavailable);
  await assert.rejects(dial('tunnel:laptop', 'http://laptop/x', {})!, Unavailable);
  assert.deepEqual(
    asked.map((line) => line.split(' ')[1]),
    ['/s1:/x', '/s:/x'],
  );
});

test('several sessions are all asked, and the last waits only for who has no others', async () => {
  const { asked, dial } = sessions(() => absent({ [SESSIONS_HEADER]: '2' }));
  await assert.rejects(dial('tunnel:laptop', 'http://laptop/', {})!, Unavailable); // learns that there are two
  const places = async (impatient: boolean): Promise<string[]> => {
    asked.length = 0;
    await assert.rejects(dial('tunnel:laptop', 'http://laptop/', {}, impatient)!, Unavailable);
    return asked.map((line) => line.split(' ')[1]!);
  };
  assert.deepEqual(await places(false), ['/s2:/', '/s2:/', '/s2w:/']);
  assert.deepEqual(await places(true), ['/s2:/', '/s2:/', '/s2:/']);
});
