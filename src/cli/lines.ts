/** Cuts a stream into lines. */
import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export const MAX_LINE_CHARACTERS = 64 * 1024; // what is longer is cut, and says so

/**
 * Calls back with every line, also with one that the stream ends within. Rejected: readline. It also ends lines at
 * U+2028, which JSON leaves as it is, so that a client could put a line of its own into a log; and it has no bound.
 */
export function readLines(stream: Readable, onLine: (line: string) => void, limit = MAX_LINE_CHARACTERS): void {
  const decoder = new StringDecoder('utf8');
  let begun = ''; // the line that has no end yet
  let cut = false; // and whether the rest of it is left out
  const add = (text: string) => {
    if (cut) return;
    begun += text;
    if (begun.length <= limit) return;
    begun = `${begun.slice(0, limit)}… (cut)`;
    cut = true;
  };
  const end = () => {
    const line = begun;
    begun = '';
    cut = false;
    onLine(line);
  };
  stream.on('data', (chunk: Buffer) => {
    const text = decoder.write(chunk);
    let start = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', start)) {
      add(text.slice(start, at));
      end();
      start = at + 1;
    }
    if (start < text.length) add(text.slice(start));
  });
  stream.once('end', () => {
    add(decoder.end());
    if (begun !== '') end();
  });
}
