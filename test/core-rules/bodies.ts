/** Bodies as browsers, libraries and tools send them: none of them is in doubt for any reader. */
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { octets, request, withBody } from './attacks.ts';

const WEBKIT = '----WebKitFormBoundaryQx7Yb3cZ0uT1mE9k';
const GECKO = '---------------------------41184676334298372901234567890';
const CURL = '------------------------d74496d66958873e';
const PNG =
  '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89--\r\n-\r\n--\xff\xfe\r\n\n\r';
const PDF = '%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\nxref\n0 3\ntrailer << /Size 3 >>\n%%EOF\n';

interface Part {
  readonly head: readonly string[];
  readonly content: string;
}
const disposition = (rest: string): string => `Content-Disposition: form-data; ${rest}`;
const multipart = (boundary: string, parts: readonly Part[], last = '\r\n'): string =>
  parts.map(({ head, content }) => `--${boundary}\r\n${head.join('\r\n')}\r\n\r\n${content}\r\n`).join('') +
  `--${boundary}--${last}`;
/** As `withBody`, of which the body is bytes already. */
const bytes = (type: string, body: string): RawTransaction => ({
  ...withBody(type, ''),
  body,
  headers: withBody(type, body).headers,
});

/** A body of which nothing is said but its length. */
const bare = (body: string): RawTransaction =>
  request({ ...{ method: 'POST', uri: '/api/items', body }, headers: [['Content-Length', String(body.length)]] });

const field = (name: string, content: string): Part => ({ head: [disposition(`name="${name}"`)], content });
const file = (rest: string, type: string, content: string): Part => ({
  head: [disposition(rest), `Content-Type: ${type}`],
  content,
});

export const ORDINARY_BODIES: readonly (readonly [name: string, transaction: RawTransaction])[] = [
  [
    'Chrome and Safari: fields and files',
    bytes(
      `multipart/form-data; boundary=${WEBKIT}`,
      multipart(WEBKIT, [
        field('title', octets('Grüße aus Köln')),
        field('note', 'line\r\nline\r\n'),
        field('empty', ''),
        file('name="picture"; filename="a.png"', 'image/png', PNG),
        file(`name="more[]"; filename="${octets("Rechnung für O'Brien %22x%22 (1).pdf")}"`, 'application/pdf', PDF),
        file('name="none"; filename=""', 'application/octet-stream', ''),
      ]),
    ),
  ],
  [
    'Firefox',
    bytes(
      `multipart/form-data; boundary=${GECKO}`,
      multipart(GECKO, [
        field('a[b]', '1'),
        file('name="f"; filename="C:\\\\x y.txt"', 'text/plain', '-- \r\nsignature\r\n'),
      ]),
    ),
  ],
  [
    'curl -F',
    bytes(
      `multipart/form-data; boundary=${CURL}`,
      multipart(CURL, [
        field('a', '1'),
        file(
          'name="f"; filename="key.pem"',
          'application/octet-stream',
          '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
        ),
        file('name="q"; filename="dump.sql"', 'application/octet-stream', '--\n-- Dump\n--\nSELECT 1;\r\n-- end\r\n'),
      ]),
    ),
  ],
  [
    'an upload of what was an upload',
    bytes(
      `multipart/form-data; boundary=${CURL}`,
      multipart(CURL, [file('name="f"; filename="request.txt"', 'text/plain', multipart(WEBKIT, [field('a', '1')]))]),
    ),
  ],
  [
    'Python requests and urllib3',
    bytes(
      'multipart/form-data; boundary=5f0b1c9d3e7a4d2b8c6e1f2a3b4c5d6e',
      multipart('5f0b1c9d3e7a4d2b8c6e1f2a3b4c5d6e', [
        field('a', 'x'),
        { head: [disposition('name="f"; filename="data.csv"')], content: 'a,b\n1,2\n' },
      ]),
    ),
  ],
  [
    '.NET HttpClient: a quoted boundary, tokens, two file names',
    bytes(
      'multipart/form-data; boundary="8d1f6b1e-6c3c-4f0a-9d8e-0a1b2c3d4e5f"',
      multipart('8d1f6b1e-6c3c-4f0a-9d8e-0a1b2c3d4e5f', [
        { head: ['Content-Type: text/plain; charset=utf-8', disposition('name=title')], content: 'x' },
        {
          head: ['Content-Type: image/png', disposition("name=file; filename=a.png; filename*=utf-8''a.png")],
          content: PNG,
        },
      ]),
    ),
  ],
  [
    'aiohttp: a name that is not ASCII',
    bytes(
      'multipart/form-data; boundary=b0',
      multipart('b0', [
        file('name="f"; filename="%C3%BCber.txt"; filename*=utf-8\'\'%C3%BCber.txt', 'text/plain', 'x'),
      ]),
    ),
  ],
  [
    'Java: Content-Length and an encoding in each part',
    bytes(
      'multipart/form-data; charset=UTF-8; boundary=Boundary_1_531214_1700000000',
      multipart('Boundary_1_531214_1700000000', [
        {
          head: [
            disposition('name="a"'),
            'Content-Type: text/plain; charset=UTF-8',
            'Content-Transfer-Encoding: 8bit',
            'Content-Length: 1',
          ],
          content: 'x',
        },
      ]),
    ),
  ],
  [
    'Java: a charset behind the boundary',
    bytes('multipart/form-data; boundary=gA7x_Zk-12; charset=UTF-8', multipart('gA7x_Zk-12', [field('a', '1')])),
  ],
  [
    'fetch of Node: no line end behind the last boundary',
    bytes(
      'multipart/form-data; boundary=----formdata-undici-012345678901',
      multipart('----formdata-undici-012345678901', [field('a', '1')], ''),
    ),
  ],
  [
    'a mail client that uploads HTML',
    bytes(
      `multipart/form-data; boundary=${WEBKIT}`,
      multipart(WEBKIT, [field('html', '<!-- a -->\r\n--> x\r\n---\r\n- - -')]),
    ),
  ],

  ['JSON', withBody('application/json', '{"a":[1,-2.5e3,true,null,"\\u00e4\\n",{}],"":[]}\n')],
  ['JSON with a byte order mark', withBody('application/json; charset=utf-8', '\ufeff{"a":1}')],
  ['JSON that is one value', withBody('application/json', '"text"')],
  ['JSON that is null', withBody('application/json', ' null ')],
  ['JSON with a name that is not ASCII', withBody('application/json', '{"größe":"日本語 😀","\\ud83d\\ude00":1}')],
  ['JSON Patch', withBody('application/json-patch+json', '[{"op":"replace","path":"/a~1b","value":0}]')],
  ['problem+json', withBody('application/problem+json; charset=utf-8', '{"type":"about:blank"}')],
  ['lines of JSON, which have a type of their own', withBody('application/x-ndjson', '{"a":1}\n{"a":2}\n')],
  ['a report of a browser', withBody('application/csp-report', '{"csp-report":{"blocked-uri":"inline"}}')],

  [
    'XML',
    withBody(
      'application/xml',
      '<?xml version="1.0" encoding="UTF-8"?>\r\n<a b="1">x &amp; y &#228; <![CDATA[<z>]]></a>\r\n',
    ),
  ],
  [
    'SOAP',
    withBody(
      'text/xml; charset=utf-8',
      '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><m:Get xmlns:m="urn:a"><m:Id>5</m:Id></m:Get></soap:Body></soap:Envelope>',
    ),
  ],
  ['XML with a byte order mark', withBody('text/xml', '\ufeff<a/>')],
  ['XML with a document type', withBody('application/xml', '<!DOCTYPE a SYSTEM "a.dtd"><a/>')],
  ['SVG', withBody('application/xml', '<svg xmlns="http://www.w3.org/2000/svg"><!-- a --><path d="M0 0L1 1"/></svg>')],
  [
    'PROPFIND',
    {
      ...withBody('application/xml', '<?xml version="1.0"?><propfind xmlns="DAV:"><allprop/></propfind>'),
      method: 'PROPFIND',
    },
  ],

  ['a form', withBody('application/x-www-form-urlencoded; charset=UTF-8', 'a=1&b=%C3%A4+x&c&=&d=%')],
  [
    'a report of a browser, with its policy and a sample',
    withBody(
      'application/csp-report',
      JSON.stringify({
        'csp-report': {
          'document-uri': 'https://shop.example/cart?id=5',
          referrer: '',
          'violated-directive': 'script-src-elem',
          'original-policy':
            "default-src 'self'; script-src 'self' 'nonce-r4nd0m' https://cdn.example; style-src 'self' 'unsafe-inline'; report-uri /csp; frame-ancestors 'none'",
          'blocked-uri': 'chrome-extension://abcdef/inject.js',
          'line-number': 12,
          'script-sample': 'console.log("hello")',
        },
      }),
    ),
  ],
  [
    'what a beacon sends',
    withBody('text/plain;charset=UTF-8', '{"events":[{"n":"click","x":1.5,"t":"Don\'t & won\'t"}]}'),
  ],
  [
    'GraphQL',
    withBody('application/graphql', 'query Cart($id: ID!) { cart(id: $id) { items(first: 10) { name, price } } }'),
  ],
  [
    'an offer of WebRTC',
    withBody(
      'application/sdp',
      'v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n',
    ),
  ],
  [
    'a calendar',
    withBody(
      'text/calendar',
      "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1@example\r\nDTSTART:20261121T100000Z\r\nSUMMARY:Anne's; \\n lunch\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    ),
  ],
  ['CSV', withBody('text/csv', 'id;name;note\r\n1;"O\'Brien, Pat";"5\'11"""\r\n2;D\'Angelo;-- none --\r\n')],
  [
    'Markdown',
    withBody('text/markdown', '# Menu\n\n* select `one`\n* and/or `two`\n\n<br>\n\n```js\nlet a = b || c;\n```\n'),
  ],
  ['YAML', withBody('application/yaml', 'services:\n  web: { image: "nginx:1", ports: ["80:80"] }\n')],
  ['a token', withBody('application/jwt', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2ln-_')],
  ['a form without a type', bare('name=Anne+O%27Hara&page=1')],
  ['JSON without a type', bare('{"name":"Anne O\'Hara"}')],
  ['XML without a type', bare('<?xml version="1.0"?><order id="5"><name>Anne O\'Hara</name></order>')],
  ['bytes without a type', bare(PNG)],
  [
    'a dump that is uploaded as a file',
    bytes('application/octet-stream', "--\n-- Dump\nSELECT * FROM users WHERE a = '1' OR '1' = '1';\n"),
  ],
  ['a drawing', withBody('image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/></svg>')],
  ['text in Latin 1', bytes('text/plain; charset=ISO-8859-1', 'Gr\xfc\xdfe')],
  ['text of Windows', bytes('text/plain; charset="windows-1252"', 'na\xefve')],
  ['XML in UTF-16', bytes('text/xml; charset=utf-16', Buffer.from('\ufeff<a>x</a>', 'utf16le').toString('latin1'))],
  ['text', withBody('text/plain;charset=UTF-8', 'not "anything" <in particular> {')],
  ['bytes', bytes('application/octet-stream', PNG)],
  ['no type', bare('{"a"')],
  ['GET with a body', { ...withBody('application/json', '{"query":{"match_all":{}}}'), method: 'GET' }],
  ...[
    'application/json',
    'text/xml',
    'application/x-www-form-urlencoded',
    `multipart/form-data; boundary=${WEBKIT}`,
  ].map((type) => [`an empty body of type ${type}`, withBody(type, '')] as const),
];
