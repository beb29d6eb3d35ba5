/** What somebody sees who has just cloned the repository: `npm start`, the lines it prints, the attack, Ctrl-C. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../gateway.ts';

interface Started {
  readonly output: () => string;
  readonly until: (pattern: RegExp) => Promise<RegExpExecArray>;
  readonly child: ReturnType<typeof spawn>;
}

function npmStart(...args: string[]): Started {
  // What `npm start` runs, from the same file that npm reads; npm itself would only add its own lines.
  const child = spawn(process.execPath, [join(ROOT, 'scripts/bootstrap.mjs'), 'scripts/start.ts', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group of its own, as a terminal gives it
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
  });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    child.emit('text');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    child.emit('text');
  });
  child.setMaxListeners(0);
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const late = AbortSignal.timeout(60_000);
    for (;;) {
      const match = pattern.exec(text);
      if (match) return match;
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before ${pattern}:\n${text}`);
      await once(child, 'text', { signal: late }).catch(() => {
        throw new Error(`no ${pattern} in 60 s:\n${text}`);
      });
    }
  };
  return { output: () => text, until, child };
}

async function curl(line: string): Promise<{ status: number; body: string }> {
  const child = spawn('sh', ['-c', `${line} -sS`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(child, 'close');
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(out)?.[1] ?? 0), body: out.slice(out.indexOf('\r\n\r\n') + 4) };
}

test('npm start: the printed lines work, the attack is blocked, Ctrl-C is clean', { timeout: 120_000 }, async () => {
  const started = npmStart('--listen', '127.0.0.1:0');
  const ended = once(started.child, 'exit');
  try {
    await started.until(/UNION SELECT[^\n]*\n[^]*\n\n/);
    const lines = started
      .output()
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.startsWith('curl '));
    assert.ok(lines.length >= 4, started.output());
    let blocked = 0;
    for (const line of lines) {
      const { status, body } = await curl(line);
      assert.ok([200, 403].includes(status), `${line}: ${status} ${body}`);
      if (line.includes('UNION SELECT')) {
        assert.equal(status, 403);
        assert.match(body, /"detail":"[^"]+"/);
        blocked++;
      } else if (status === 403) blocked++;
    }
    assert.equal(blocked, 3);
    // The issue's own words, as a browser or curl -g would send them.
    const url = /curl[^\n]*?(http:\/\/127\.0\.0\.1:\d+)/.exec(started.output())?.[1] as string;
    const attack = await curl(`curl -i -g '${url}/?q=1%27%20UNION%20SELECT%20password%20FROM%20users--'`);
    assert.equal(attack.status, 403);
    await started.until(/403[^\n]*GET[^\n]*block[^\n]*waf \d+ ARGS:q/);
    process.kill(-(started.child.pid as number), 'SIGINT'); // what Ctrl-C does
    const [code] = (await Promise.race([
      ended,
      new Promise((_, reject) => setTimeout(() => reject(new Error(`did not end:\n${started.output()}`)), 15_000)),
    ])) as [number];
    assert.equal(code, 0);
    assert.doesNotMatch(started.output(), /\n\s+at .*:\d+:\d+|Unhandled|Warning/);
  } finally {
    if (started.child.exitCode === null) {
      started.child.kill('SIGTERM');
      await ended;
    }
  }
});

test('npm start on a port that is taken: one clear sentence', { timeout: 60_000 }, async () => {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    const started = npmStart('--listen', `127.0.0.1:${port}`);
    const [code] = (await once(started.child, 'close')) as [number];
    assert.equal(code, 1);
    assert.match(started.output(), new RegExp(`127\\.0\\.0\\.1:${port} is already in use`));
    assert.doesNotMatch(started.output(), /\n\s+at /);
  } finally {
    server.close();
  }
});
