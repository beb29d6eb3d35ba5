/** The embedded rule set comes and goes with a policy, and several apps share it, without a restart. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from '../client.ts';
import { startEcho, type Echo } from '../echo.ts';
import { startGateway, type Gateway } from '../gateway.ts';

const ATTACK = '/?q=1%27%20UNION%20SELECT%20password%20FROM%20users--';

describe('swapping the firewall', () => {
  let origin: Echo;
  let gateway: Gateway;
  const policy = (app: string, waf: string): string =>
    `app: ${app}\nhostnames: [${app}.test]\nbackends: { web: { url: ${origin.url} } }\n${waf}routes: [{ backend: web }]\n`;
  const status = async (app: string): Promise<number> =>
    (await ask(gateway.url + ATTACK, { host: `${app}.test` })).status;
  const images = (): number => {
    const state = join(gateway.folder, '.sallyport');
    const place = readdirSync(state).find((name) => name.startsWith('127'));
    return readdirSync(join(state, place!, 'images')).filter((name) => name.endsWith('.img')).length;
  };

  before(async () => {
    origin = await startEcho('web');
    gateway = await startGateway({ policy: [policy('a', ''), policy('b', '')], args: ['--watch'] });
  });
  after(async () => {
    await gateway.stop();
    await origin.stop();
  });

  test('on for one app, on for both, off again', { timeout: 60_000 }, async () => {
    /** Two files are two writes, and may be two swaps: what counts is where it ends. */
    const swap = async (a: string, b: string, wanted: readonly number[]): Promise<void> => {
      const since = gateway.events.length;
      await gateway.write(policy('a', a), policy('b', b));
      await gateway.event('swapped', () => true, since);
      let found: number[] = [];
      for (let tries = 0; tries < 200 && found.join() !== wanted.join(); tries++) {
        if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 50));
        found = [await status('a'), await status('b')];
      }
      assert.deepEqual(found, wanted);
    };
    assert.deepEqual([await status('a'), await status('b')], [200, 200]);
    await swap('waf: {}\n', '', [403, 200]);
    await swap('waf: {}\n', 'waf: { paranoia: { blocking: 2 } }\n', [403, 403]);
    // Those of the generation before are kept until the next swap; the rule set is there once.
    assert.ok(images() <= 7, `${images()} images: hosts, agents, two apps twice at most, and one rule set`);
    await swap('', 'waf: { mode: log }\n', [200, 200]);
    assert.equal(gateway.events.filter(({ event }) => event === 'restarting').length, 0);
  });

  test('a rule set that is not here leaves the last good policy serving', { timeout: 60_000 }, async () => {
    const since = gateway.events.length;
    await gateway.write(policy('a', 'waf: { ruleset: crs@9.9.9 }\n'), policy('b', ''));
    const rejected = await gateway.event('rejected', () => true, since);
    assert.match(JSON.stringify(rejected['diagnostics']), /unknown-ruleset/);
    assert.equal(await status('a'), 200);
  });
});
