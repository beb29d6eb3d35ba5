import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { McpJoinPlan } from '../../plan.ts';
import { MAX_JOINED_TOKEN } from './join-limits.ts';
import {
  isCut,
  joinedId,
  joinedName,
  joinedPlaces,
  joinedUri,
  longName,
  serverOf,
  splitId,
  splitName,
  splitPlaces,
  splitUri,
} from './join-names.ts';

const join: McpJoinPlan = {
  nameLength: 64,
  servers: ['git', 'git-hub', 'jira'].map((name, backend) => ({ name, backend, path: '/mcp', timeout: 1000 })),
};
const [git, hub, jira] = join.servers as [(typeof join.servers)[0], (typeof join.servers)[0], (typeof join.servers)[0]];

test('a name means one server, whatever is in it', () => {
  fc.assert(
    fc.property(fc.constantFrom(...join.servers), fc.string(), (server, name) => {
      const joined = joinedName(server, name, 128);
      if (joined.length <= 64) assert.deepEqual(splitName(join, joined), { server, name });
      assert.deepEqual(splitUri(join, joinedUri(server, name)), { server, name });
    }),
  );
  assert.equal(joinedName(git, 'hub_x', 64), 'git_hub_x');
  assert.equal(joinedUri(hub, 'file:///a+b'), 'git-hub+file:///a+b');
  for (const name of ['', 'git', 'gitx_a', 'other_a', '_a', 'Git_a', '__proto__'])
    assert.equal(splitName(join, name), null);
  assert.deepEqual(
    [
      serverOf(join, { tool: 'jira_x' }),
      serverOf(join, { prompt: 'git_x' }),
      serverOf(join, { resource: 'git-hub+a:b' }),
      serverOf(join, {}),
    ],
    ['jira', 'git', 'git-hub', undefined],
  );
});

test('a name that is too long is cut, and remembered', () => {
  const fits = 'x'.repeat(64 - 'git_'.length);
  assert.equal(joinedName(git, fits, 64), `git_${fits}`);
  const one = joinedName(git, `${fits}1`, 64);
  const two = joinedName(git, `${fits}2`, 64);
  assert.match(one, /^git_x{51}-[0-9a-f]{8}$/);
  assert.equal(one.length, 64);
  assert.notEqual(one, two);
  assert.ok(isCut(join, one) && !isCut(join, `git_${fits}`) && !isCut(join, one.slice(1)));
  assert.equal(splitName(join, `git_${fits}`)?.name, fits);
  assert.equal(splitName(join, `git_${fits}1`), null);
  assert.deepEqual([longName(one), longName(two), longName('git_x')], [`${fits}1`, `${fits}2`, undefined]);
});

test('ids of servers come back as they were, whatever JSON they are', () => {
  for (const id of ['0', '-1', '12345678901234567890', '"a"', '"\\"\\u0000:"', '""']) {
    const text = joinedId(jira, id);
    assert.deepEqual(splitId(join, text), { server: jira, id });
  }
  for (const text of [
    '1',
    '"1"',
    '"jira:"',
    '"jira:{}"',
    '"jira:1,2"',
    '"jira:1.5"',
    '"jira:\\"a"',
    '"jira:\\"\\n\\""',
    '"nobody:1"',
    'null',
  ])
    assert.equal(splitId(join, text), null, text);
});

test('places of several servers are one token, of one kind', () => {
  const places = new Map([
    [git, 'cursor "1"'],
    [jira, 'ü'],
  ]);
  const token = joinedPlaces('list', places);
  assert.match(token, /^[A-Za-z0-9_-]+$/);
  assert.deepEqual(splitPlaces(join, 'list', token), places);
  assert.equal(splitPlaces(join, 'answer', token), null);
  const fewer = { ...join, servers: [git] };
  assert.equal(
    splitPlaces(
      fewer,
      'list',
      joinedPlaces(
        'list',
        new Map([
          [git, 'a'],
          [hub, 'b'],
          [jira, 'c'],
        ]),
      ),
    ),
    null,
  );
  assert.deepEqual(splitPlaces(fewer, 'list', joinedPlaces('list', new Map([[jira, 'c']]))), new Map());
});

test('tokens of nobody are none', () => {
  const token = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const text of [
    '',
    '!',
    'x',
    token('list'),
    token(['list', 'git']),
    token(['list', ['git']]),
    token(['list', ['git', 1]]),
    token(['list', ['git', 'a', 'b']]),
    token({ 0: 'list' }),
    Buffer.from([0xff]).toString('base64url'),
  ])
    assert.equal(splitPlaces(join, 'list', text), null, text);
  assert.equal(joinedPlaces('list', new Map([[git, 'x'.repeat(MAX_JOINED_TOKEN)]])), '');
  assert.equal(splitPlaces(join, 'list', 'a'.repeat(MAX_JOINED_TOKEN + 1)), null);
  fc.assert(fc.property(fc.string(), (text) => void splitPlaces(join, 'list', text)));
});
