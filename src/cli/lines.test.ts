import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { suite, test } from 'node:test';
import { MAX_LINE_CHARACTERS, readLines } from './lines.ts';

async function linesOf(...chunks: (string | Buffer)[]): Promise<string[]> {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream, (line) => lines.push(line));
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await new Promise((resolve) => stream.once('close', resolve));
  return lines;
}

suite('lines', () => {
  test('chunks end anywhere, within a character too', async () => {
    const euro = Buffer.from('€');
    assert.deepEqual(await linesOf('a', 'b\nc', '\n\nd', euro.subarray(0, 1), euro.subarray(1), '\n'), [
      'ab',
      'c',
      '',
      'd€',
    ]);
  });

  test('the last line needs no end', async () => {
    assert.deepEqual(await linesOf('a\nb'), ['a', 'b']);
    assert.deepEqual(await linesOf(), []);
  });

  test('only a line feed ends a line: what a client wrote cannot', async () => {
    const line = '{"path":"/\u2028{\\"forged\\":1}\u2029\r\u0085"}';
    assert.deepEqual(await linesOf(`${line}\n`), [line]);
  });

  test('a line without end is cut, and the next one is whole', async () => {
    const long = 'x'.repeat(MAX_LINE_CHARACTERS);
    const [first = '', ...others] = await linesOf(long, long, long, '\nnext\n', `${long}\n`);
    assert.equal(first, `${long}… (cut)`);
    assert.deepEqual(others, ['next', long]);
  });
});
