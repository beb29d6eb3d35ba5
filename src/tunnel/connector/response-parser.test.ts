import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_FIELDS, MAX_HEAD, type Fields } from '../head.ts';
import { MAX_CHUNK_LINE, MAX_INTERIM, MAX_TRAILERS, ResponseError, ResponseParser } from './response-parser.ts';

interface Read {
  status: number;
  reason: string;
  fields: Fields;
  body: string;
  trailers: Fields | null; // null: it has not ended
  interims: number[];
  reusable: boolean;
  keepAlive: number | null;
}

/** What one response is read as, with the bytes in pieces of `step`; `closed` when the connection ends behind them. */
function read(text: string, { method = 'GET', step = Infinity, closed = false } = {}): Read {
  const found: Read = {
    status: 0,
    reason: '',
    fields: [],
    body: '',
    trailers: null,
    interims: [],
    reusable: false,
    keepAlive: null,
  };
  const parser = new ResponseParser({
    onInterim: (status) => found.interims.push(status),
    onHead: ({ status, reason, fields }) => Object.assign(found, { status, reason, fields }),
    onBody: (bytes) => (found.body += Buffer.from(bytes).toString('latin1')),
    onEnd: (trailers) => (found.trailers = trailers),
  });
  parser.begin(method);
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += Math.min(step, bytes.length)) parser.push(bytes.subarray(at, at + step));
  if (closed) parser.finish();
  return Object.assign(found, { reusable: parser.reusable, keepAlive: parser.keepAlive });
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

test('heads, bodies and trailers, cut anywhere', () => {
  const cases: [string, Partial<Read>, { method?: string; closed?: boolean }?][] = [
    [
      'HTTP/1.1 299 As You Like\r\nX-One:1\r\nset-COOKIE: \ta=1; b \t\r\nx-empty:\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello',
      {
        status: 299,
        reason: 'As You Like',
        fields: [
          ['X-One', '1'],
          ['set-COOKIE', 'a=1; b'],
          ['x-empty', ''],
          ['Set-Cookie', 'b'],
          ['Content-Length', '5'],
        ],
        body: 'hello',
        trailers: [],
        reusable: true,
      },
    ],
    ['HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', { status: 200, reason: '', trailers: [] }],
    [
      'HTTP/1.1 200 \r\ncontent-length: 2\r\nContent-Length: 2\r\n\r\nok',
      { fields: [['content-length', '2']], body: 'ok', trailers: [] },
    ],
    [
      `${CHUNKED}5\r\nhello\r\nA ; x="y"\r\n0123456789\r\n0\r\n\r\n`,
      { body: 'hello0123456789', trailers: [], fields: [], reusable: true },
    ],
    [
      `${CHUNKED}1\r\nx\r\n000\r\nX-Sum: 1\r\nContent-Length: 9\r\nx-b: 2\r\n\r\n`,
      {
        body: 'x',
        trailers: [
          ['X-Sum', '1'],
          ['x-b', '2'],
        ],
      },
    ],
    [
      'HTTP/1.1 200 OK\r\n\r\nuntil the end',
      { body: 'until the end', trailers: [], reusable: false },
      { closed: true },
    ],
    ['HTTP/1.1 200 OK\r\n\r\nuntil', { body: 'until', trailers: null }],
    ['HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx', { body: 'x', trailers: [], reusable: false }],
    ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx', { trailers: [], reusable: true }],
    [
      'HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 1\r\n\r\nx',
      { trailers: [], reusable: false, fields: [['Content-Length', '1']] },
    ],
    [
      'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=7, max=2\r\nContent-Length: 0\r\n\r\n',
      { keepAlive: 7000, fields: [['Content-Length', '0']] },
    ],
    ['HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n', { status: 204, body: '', trailers: [] }],
    ['HTTP/1.1 304 No\r\nContent-Length: 99\r\n\r\n', { status: 304, body: '', trailers: [], reusable: true }],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n',
      { body: '', trailers: [], fields: [['Content-Length', '99']] },
      { method: 'HEAD' },
    ],
    ['HTTP/1.1 200 OK\r\n\r\n', { body: '', trailers: [] }, { method: 'HEAD' }],
    [
      'HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx',
      { interims: [100, 103], fields: [['Content-Length', '1']], body: 'x', trailers: [] },
    ],
  ];
  for (const [text, expected, options = {}] of cases) {
    for (const step of [Infinity, 1, 2, 3, 7, 20]) {
      const found = read(text, { ...options, step }) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(expected))
        assert.deepEqual(found[key], value, `${key} of ${text} by ${step}`);
    }
  }
});

test('what Connection names is of the connection', () => {
  const fields = (text: string): Fields => read(`HTTP/1.1 200 OK\r\n${text}\r\n\r\n`, { method: 'HEAD' }).fields;
  assert.deepEqual(fields('X-Hop: 1\r\nConnection: close, X-HOP ,x-other\r\nX-Ok: 2\r\nX-Other: 3\r\nx-hop: 4'), [
    ['X-Ok', '2'],
  ]);
  assert.deepEqual(fields('Connection: a\r\nConnection: , ,b;c\r\nA: 1\r\nB: 2\r\nClose: 3'), [
    ['B', '2'],
    ['Close', '3'],
  ]);
});

test('what readers could understand differently, or not at all, is refused', () => {
  for (const text of [
    'HTTP/2 200 OK\r\n\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
    'HTTP/1.1 099 OK\r\n\r\n',
    'HTTP/1.1  200 OK\r\n\r\n',
    'SSH-2.0-OpenSSH\r\n\r\n',
    'HTTP/1.1 101 Switching\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
    'HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nno colon\r\n\r\n',
    'HTTP/1.1 200 OK\r\n: no name\r\n\r\n',
    `${CHUNKED}x\r\n`,
    `${CHUNKED}-1\r\n`,
    `${CHUNKED}0x1\r\n`,
    `${CHUNKED}1234567890123\r\n`,
    `${CHUNKED}\r\n`,
    `${CHUNKED}1\r\nxy\r\n`,
    `${CHUNKED}1\r\nx\n0\r\n`,
    `${CHUNKED}0\r\nno colon\r\n\r\n`,
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n',
  ])
    for (const step of [Infinity, 1]) assert.throws(() => read(text, { step }), ResponseError, text);
  for (const text of [
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab',
    `${CHUNKED}1\r\nx\r\n`,
    'HTTP/1.1 200 OK\r\nA: b\r\n',
  ])
    assert.throws(() => read(text, { closed: true }), ResponseError, text);
});

test('limits, at their edge', () => {
  const head = (size: number): string =>
    `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(size - 'HTTP/1.1 200 OK\r\nx: '.length)}\r\n\r\n`;
  assert.equal(read(head(MAX_HEAD)).status, 200);
  assert.throws(() => read(head(MAX_HEAD + 1)), ResponseError);
  assert.throws(() => read('y'.repeat(MAX_HEAD + 1), { step: 1000 }), ResponseError);
  const fields = (count: number): string => `HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(count)}\r\n`;
  assert.equal(read(fields(MAX_FIELDS)).fields.length, MAX_FIELDS);
  assert.throws(() => read(fields(MAX_FIELDS + 1)), ResponseError);
  const interim = 'HTTP/1.1 102 Wait\r\n\r\n';
  assert.equal(read(interim.repeat(MAX_INTERIM)).interims.length, MAX_INTERIM);
  assert.throws(() => read(interim.repeat(MAX_INTERIM + 1)), ResponseError);
  const line = (size: number): string => `${CHUNKED}1;${'x'.repeat(size - 2)}\r\nx\r\n0\r\n\r\n`;
  assert.equal(read(line(MAX_CHUNK_LINE)).body, 'x');
  assert.throws(() => read(line(MAX_CHUNK_LINE + 1)), ResponseError);
  assert.throws(() => read(line(MAX_CHUNK_LINE + 1), { step: 100 }), ResponseError);
  const trailers = (count: number): string => `${CHUNKED}0\r\n${`x: ${'y'.repeat(11)}\r\n`.repeat(count)}\r\n`;
  assert.equal(read(trailers(MAX_TRAILERS / 16)).trailers?.length, MAX_TRAILERS / 16);
  assert.throws(() => read(trailers(MAX_TRAILERS / 16 + 1)), ResponseError);
});

test('any bytes, in any pieces: read alike, or refused alike', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 100 Go\r\n\r\n',
      'Content-Length: 4\r\n',
      'Transfer-Encoding: chunked\r\n',
    ),
    fc.constantFrom(
      '\r\n',
      '\r',
      '\n',
      '4\r\nabcd\r\n',
      '0\r\n\r\n',
      'abcd',
      'Connection: close\r\n',
      'x: y\r\n',
      ' ',
      ':',
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 6 }),
  );
  const outcome = (text: string, step: number): unknown => {
    try {
      return read(text, { step });
    } catch (error) {
      assert.ok(error instanceof ResponseError, String(error));
      return 'refused';
    }
  };
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.integer({ min: 1, max: 30 }), (pieces, step) => {
      const text = `HTTP/1.1 200 OK\r\n${pieces.join('')}`;
      assert.deepEqual(outcome(text, step), outcome(text, Infinity));
    }),
    { numRuns: 500 },
  );
});
