/** A day of ordinary traffic, of our own making: whole requests, with the headers that go with them. */
import type { RawTransaction } from '../../src/waf/transaction.ts';
import { octets } from './attacks.ts';

type Headers = readonly (readonly [name: string, value: string])[];

const make = (method: string, uri: string, headers: Headers, body = ''): RawTransaction => {
  const bytes = octets(body);
  const length: Headers = bytes === '' ? [] : [['Content-Length', String(bytes.length)]];
  return {
    ...{ method, uri, protocol: 'HTTP/1.1', body: bytes, peer: '192.0.2.7' },
    headers: [['Host', 'shop.example'], ...headers.map(([name, value]) => [name, octets(value)] as const), ...length],
  };
};

const CHROME: Headers = [
  ['sec-ch-ua', '"Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"'],
  ['sec-ch-ua-mobile', '?0'],
  ['sec-ch-ua-platform', '"Windows"'],
  ['Upgrade-Insecure-Requests', '1'],
  [
    'User-Agent',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  ],
  [
    'Accept',
    'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7',
  ],
  ['Sec-Fetch-Site', 'same-origin'],
  ['Sec-Fetch-Mode', 'navigate'],
  ['Sec-Fetch-User', '?1'],
  ['Sec-Fetch-Dest', 'document'],
  ['Referer', 'https://shop.example/search?q=chairs&sort=price'],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['Accept-Language', 'de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7'],
  [
    'Cookie',
    '_ga=GA1.1.1234567890.1700000000; _fbp=fb.1.1700000000000.123456789; session=s%3Aq8Jx-2f.aZ%2BkL9%3D; consent={"ad":true,"v":2}; theme=dark',
  ],
  ['Priority', 'u=0, i'],
];
const FIREFOX: Headers = [
  ['User-Agent', 'Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
  ['Accept-Language', 'fr,fr-FR;q=0.8,en-US;q=0.5,en;q=0.3'],
  ['Accept-Encoding', 'gzip, deflate, br, zstd'],
  ['DNT', '1'],
  ['Sec-GPC', '1'],
  ['Connection', 'keep-alive'],
  ['Cookie', 'CookieConsent={stamp:%27-1%27%2Cnecessary:true%2Cpreferences:false%2Cver:1}; PHPSESSID=k3n5v8'],
  ['If-None-Match', 'W/"5f3-18c2a"'],
  ['If-Modified-Since', 'Sat, 21 Nov 2026 10:00:00 GMT'],
  ['TE', 'trailers'],
];
const SAFARI: Headers = [
  [
    'User-Agent',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  ],
  ['Accept', '*/*'],
  ['Accept-Language', 'ja-JP,ja;q=0.9'],
  ['Accept-Encoding', 'gzip, deflate, br'],
  ['Range', 'bytes=0-1'],
  ['X-Playback-Session-Id', '5B3E8B1C-0F7A-4B0C-9D1E-2F3A4B5C6D7E'],
];
const ANDROID: Headers = [
  [
    'User-Agent',
    'Mozilla/5.0 (Linux; Android 15; SM-S931B Build/AP3A.240905.015; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/500.0.0.0;IABMV/1;]',
  ],
  ['Accept', '*/*'],
  ['X-Requested-With', 'com.facebook.katana'],
  ['Accept-Language', 'pt-BR,pt;q=0.9'],
];
const CURL: Headers = [
  ['User-Agent', 'curl/8.5.0'],
  ['Accept', '*/*'],
];
const BOT: Headers = [
  [
    'User-Agent',
    'Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/142.0.0.0 Safari/537.36',
  ],
  ['Accept', 'text/html,application/xhtml+xml,*/*;q=0.8'],
  ['From', 'googlebot(at)googlebot.com'],
];
const API: Headers = [
  ['User-Agent', 'okhttp/5.1.0'],
  ['Accept', 'application/json'],
  ['Authorization', 'Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl-_x'],
  ['X-Request-Id', '01JD7Y9Q4M8Z0'],
];

const get = (uri: string, headers: Headers = CHROME): RawTransaction => make('GET', uri, headers);
const search = (text: string): RawTransaction => get(`/search?q=${encodeURIComponent(text).replaceAll('%20', '+')}`);
const form = (fields: Readonly<Record<string, string>>, headers: Headers = CHROME): RawTransaction =>
  make(
    'POST',
    '/account/address',
    [...headers, ['Content-Type', 'application/x-www-form-urlencoded'], ['Origin', 'https://shop.example']],
    new URLSearchParams(fields).toString(),
  );
const json = (
  uri: string,
  value: unknown,
  { method = 'POST', type = 'application/json', headers = [] as Headers, base = API } = {},
): RawTransaction => make(method, uri, [...base, ['Content-Type', type], ...headers], JSON.stringify(value));
const xml = (uri: string, body: string, headers: Headers, method = 'POST'): RawTransaction =>
  make(method, uri, [...CURL, ...headers], body);

export type Traffic = readonly (readonly [name: string, transaction: RawTransaction])[];

const PROSE: Readonly<Record<string, readonly string[]>> = {
  en: [
    "I'd like to return the jacket I ordered last week; it doesn't fit. Could you send a label (size L, colour: navy)? Thanks -- Anne O'Hara",
    'Select the items you want, update the cart and drop us a line where you need help. 50% off & free shipping!',
    "She said: 'Don't worry, it's 5 o'clock somewhere.' Then she left; nobody knows why...",
  ],
  de: [
    'Guten Tag, die Lieferung (Nr. 4711/08) war unvollständig: Es fehlen 2 Stück à 19,99 €. Bitte um Rückmeldung! Grüße, Jürgen Müller-Lüdenscheidt',
    'Der Union-Antrag wurde angenommen; „so geht’s nicht weiter“, meinte die Opposition und ging.',
  ],
  fr: [
    "C'est l'histoire d'un garçon qui n'aimait pas l'école ; aujourd'hui, qu'est-ce qu'il fait ? Il l'enseigne !",
    "Livrer au 12 bis, rue de l'Église, 3e étage, s'il vous plaît. Code d'entrée : A1234#",
  ],
  es: [
    '¿Dónde está mi pedido nº 12345? Lo pagué el 3/11 y aún no ha llegado; ¡gracias!',
    'Calle Mayor, 5 - 2º B (timbre: "Pérez y/o García")',
  ],
  pl: [
    'Dzień dobry, chciałbym zwrócić towar; kwota 199,90 zł. Proszę o szybką odpowiedź :)',
    'ul. Świętokrzyska 31/33a m. 5, 00-001 Łódź',
  ],
  ja: [
    '先日注文した商品（サイズ：Ｍ）がまだ届いていません。確認をお願いします。',
    '東京都千代田区丸の内１－９－１　グラントウキョウ北棟',
  ],
};

export const ORDINARY: Traffic = [
  ...(
    [
      ['Chrome', CHROME],
      ['Firefox', FIREFOX],
      ['Safari', SAFARI],
      ['an Android app', ANDROID],
      ['curl', CURL],
      ['a search engine', BOT],
    ] as const
  ).flatMap(([name, headers]) =>
    [
      '/',
      '/products/chairs/oak-chair-5?color=dark%20brown&size=m',
      '/assets/app.3f2a91.js?v=1.2.3',
      '/favicon.ico',
    ].map((uri) => [`${name}: ${uri}`, get(uri, headers)] as const),
  ),
  ['curl HEAD', make('HEAD', '/', CURL)],
  [
    'preflight',
    make('OPTIONS', '/api', [
      ...FIREFOX,
      ['Origin', 'https://app.example'],
      ['Access-Control-Request-Method', 'PUT'],
      ['Access-Control-Request-Headers', 'authorization,content-type'],
    ]),
  ],
  [
    'campaign',
    get(
      '/?utm_source=newsletter&utm_medium=e-mail&utm_campaign=black_friday_2026%21&gclid=Cj0KCQiA3eGfBhCeARIsACpJNU_x-Yz&fbclid=IwAR0x_y-z',
    ),
  ],
  [
    'filters',
    get('/shop?filter[price][gte]=10&filter[price][lte]=100&sort=-created_at,name&page[number]=2&include=brand,images'),
  ],
  [
    'OData',
    get(
      "/odata/Products?$filter=Name%20eq%20'Milk'%20and%20Price%20lt%202.55&$select=Name,Price&$orderby=Name%20desc&$top=10",
      API,
    ),
  ],
  ['map', get('/maps/@52.5200,13.4050,12z/data=!3m1!4b1')],
  ['image proxy', get('/_next/image?url=%2Fimg%2Fhero.png&w=1920&q=75')],
  ['redirect back', get('/login?next=%2Faccount%2Forders%3Fpage%3D2')],
  ['return to ourselves', get('/login?return_to=https%3A%2F%2Fshop.example%2Fcart%3Fa%3D1%26b%3D2')],

  // OAuth and OpenID Connect
  [
    'authorize',
    get(
      '/authorize?response_type=code&client_id=s6BhdRkqt3&redirect_uri=https%3A%2F%2Fclient.example%2Fcb&scope=openid%20profile%20email&state=af0ifjsldkj&nonce=n-0S6_WzA2Mj&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&prompt=select_account',
    ),
  ],
  [
    'callback',
    get(
      '/oauth/callback?code=4%2F0AX4XfWh_x-Yz&scope=email+profile+https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.email+openid&authuser=0&prompt=none',
    ),
  ],
  [
    'token',
    form(
      {
        grant_type: 'authorization_code',
        code: 'SplxlOBeZQQYbYS6WxSbIA',
        redirect_uri: 'https://client.example/cb',
        code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
      },
      CURL,
    ),
  ],
  [
    'client credentials',
    make(
      'POST',
      '/token',
      [
        ...CURL,
        ['Authorization', 'Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW'],
        ['Content-Type', 'application/x-www-form-urlencoded'],
      ],
      'grant_type=client_credentials&scope=a%3Ab',
    ),
  ],
  [
    'SAML',
    form({
      SAMLResponse: 'PHNhbWxwOlJlc3BvbnNlIHhtbG5zOnNhbWxwPSJ1cm46b2FzaXM6bmFtZXM6dGM6U0FNTDoyLjA6cHJvdG9jb2wiLz4=',
      RelayState: 'https://shop.example/account',
    }),
  ],
  [
    'magic link',
    get('/auth/v1/verify?token=pkce_9f8e7d6c5b4a&type=magiclink&redirect_to=https://shop.example/welcome'),
  ],

  // Searches
  ...[
    'what is the difference between "and" & "or"?',
    "men's shoes size 9 1/2 (wide)",
    '50% off -- today only!',
    'C++ vs. C#: which one?',
    "rock 'n' roll; best of '69",
    'iphone 15 pro max 256gb <800€',
    'union jack flag | cushion',
    'how to: select all in excel?',
    '"oak table" -round +extendable',
    'order by phone 0800/123456',
    'site:example.com filetype:pdf report',
    '2 + 2 = ?',
    'Ø 30 cm / 12"',
    '🎁 gift ideas <3',
    "L'Oréal d'été 100% naturel",
    'node.js require vs import',
    'where is waldo = 1',
    'cat food; dog food',
  ].map((text) => [`search ${text}`, search(text)] as const),

  // Forms
  ...Object.entries(PROSE).flatMap(([language, texts]) =>
    texts.map(
      (text, i) =>
        [
          `a message in ${language} ${i + 1}`,
          form({ subject: text.slice(0, 40), message: text, submit: '1' }, FIREFOX),
        ] as const,
    ),
  ),
  ...(
    [
      ["Seán O'Brien", "12 St. John's Rd, Flat #3", 'Dublin 2'],
      ["D'Arcy de l'Isle", "7, rue de l'Abbé-Grégoire", "L'Haÿ-les-Roses"],
      ['Jürgen Groß & Söhne GmbH', 'Königstr. 5 / Hinterhaus', '70173 Stuttgart'],
      ['Ng Wei; c/o Tan', 'Blk 123 #05-67 Ang Mo Kio Ave 3', 'Singapore 560123'],
      ['María-José Núñez', 'C/ Alcalá, 45, 1º dcha.', '28014 Madrid'],
      ['Robert "Bob" Smith, Jr.', 'P.O. Box 5; Suite 100 - Bldg. A', 'Union, NJ 07083'],
      ['Wójcik-Żółć', 'ul. 3 Maja 5/7', '31-000 Kraków'],
      ["Ka'ahumanu N. Null", '1 Or Street', 'Truth or Consequences'],
    ] as const
  ).map(
    ([name, street, city]) =>
      [
        `address of ${name}`,
        form({ name, street, city, phone: '+49 (0)711 / 12-34', email: "anna.o'neil+shop@example.com", note: '' }),
      ] as const,
  ),
  ['a strong password', form({ username: 'anna', password: 'p\'9;--"x<$%&/()=?`*#+~' }, SAFARI)],
  [
    'sign-up',
    form({
      email: 'a.b+c@example.co.uk',
      password: 'correct horse battery staple!',
      password_confirmation: 'correct horse battery staple!',
      terms: 'on',
      _csrf: 'b7+/x9==',
      birthday: '29.02.2000',
    }),
  ],
  [
    'ASP.NET view state',
    form({
      __VIEWSTATE: '/wEPDwUKLTY2MzM2NzQ5OWRkx+/A==',
      __VIEWSTATEGENERATOR: 'CA0B0334',
      __EVENTTARGET: 'ctl00$Main$btn',
      __EVENTARGUMENT: '',
      ctl00$Main$txt: 'x',
    }),
  ],
  [
    'rich text',
    form({
      html: '<p>Dear <strong>Anna</strong>,<br>see <a href="https://example.com/?a=1&amp;b=2">this</a>.</p><ul><li>one</li></ul><p style="text-align: center">Bye</p>',
    }),
  ],

  // APIs
  [
    'REST: create',
    json('/api/v1/orders', {
      items: [{ sku: 'A-1', qty: 2, price: 19.99 }],
      ship: { name: "O'Brien", zip: '10115' },
      note: 'ring twice; 2nd door',
    }),
  ],
  [
    'REST: change',
    json(
      '/api/v1/orders/5',
      { status: 'shipped', at: '2026-11-21T10:00:00+01:00' },
      { method: 'PATCH', type: 'application/merge-patch+json' },
    ),
  ],
  [
    'REST: replace',
    json('/api/v1/users/5', { id: 5, roles: ['admin', 'user'], settings: { theme: null } }, { method: 'PUT' }),
  ],
  ['REST: delete', make('DELETE', '/api/v1/orders/5', API)],
  [
    'JSON Patch',
    json(
      '/api/v1/users/5',
      [
        { op: 'replace', path: '/name', value: 'A' },
        { op: 'remove', path: '/tags/0' },
      ],
      { method: 'PATCH', type: 'application/json-patch+json' },
    ),
  ],
  [
    'JSON:API',
    json(
      '/api/articles',
      {
        data: {
          type: 'articles',
          attributes: { title: 'Rails is Omakase' },
          relationships: { author: { data: { type: 'people', id: '9' } } },
        },
      },
      { type: 'application/vnd.api+json' },
    ),
  ],
  [
    'JSON-RPC',
    json('/rpc', {
      jsonrpc: '2.0',
      method: 'eth_getBalance',
      params: ['0x407d73d8a49eeb85d32cf465507dd71d507100c1', 'latest'],
      id: 1,
    }),
  ],
  [
    'GraphQL',
    json('/graphql', {
      operationName: 'Orders',
      query:
        'query Orders($first: Int!, $after: String) {\n  orders(first: $first, after: $after) {\n    edges { node { id total { amount currency } items { name } } }\n    pageInfo { hasNextPage endCursor }\n  }\n}',
      variables: { first: 10, after: null },
    }),
  ],
  [
    'GraphQL mutation',
    json('/graphql', {
      query:
        'mutation { updateUser(input: { id: "5", name: "O\'Brien", tags: ["a", "b"] }) { user { id __typename } } }',
    }),
  ],
  ['GraphQL in the query', get(`/graphql?query=${encodeURIComponent('{ user(id: 5) { name, orders { id } } }')}`, API)],
  [
    'Elasticsearch',
    json('/items/_search', {
      query: { bool: { must: [{ match: { title: 'oak' } }], filter: [{ range: { price: { gte: 10, lt: 20 } } }] } },
      sort: [{ _score: 'desc' }],
      from: 0,
      size: 10,
    }),
  ],
  [
    'analytics',
    json(
      '/collect',
      {
        events: [
          {
            name: 'page_view',
            params: {
              page_location: 'https://shop.example/?a=1#b',
              page_title: 'Chairs | Shop',
              engagement_time_msec: 1234,
            },
          },
        ],
        client_id: '1.2',
      },
      { type: 'text/plain;charset=UTF-8', base: CHROME },
    ),
  ],
  [
    'error report',
    json(
      '/api/5/envelope/',
      {
        exception: {
          values: [
            {
              type: 'TypeError',
              value: "Cannot read properties of undefined (reading 'id')",
              stacktrace: {
                frames: [{ filename: 'https://shop.example/app.js', function: 'Object.next', lineno: 1, colno: 2345 }],
              },
            },
          ],
        },
      },
      { base: CHROME },
    ),
  ],
  [
    'CSP report',
    json(
      '/csp',
      {
        'csp-report': {
          'document-uri': 'https://shop.example/',
          'violated-directive': 'script-src',
          'blocked-uri': 'inline',
          'original-policy': "default-src 'self'; script-src 'self' 'unsafe-inline'",
        },
      },
      { type: 'application/csp-report', base: CHROME },
    ),
  ],

  // LLMs
  [
    'chat',
    json('/v1/chat/completions', {
      model: 'm-1',
      messages: [
        { role: 'system', content: "You are a helpful assistant. Don't make things up." },
        {
          role: 'user',
          content:
            'Explain the difference between TCP and UDP; use bullet points, and give 2-3 examples (with numbers).',
        },
      ],
      temperature: 0.7,
      stream: true,
    }),
  ],
  [
    'tools',
    json('/v1/messages', {
      model: 'm-2',
      max_tokens: 1024,
      tools: [
        {
          name: 'get_weather',
          description: 'Get the weather in a given location',
          input_schema: {
            type: 'object',
            properties: { location: { type: 'string', description: 'City, e.g. San Francisco, CA' } },
            required: ['location'],
          },
        },
      ],
      messages: [{ role: 'user', content: "What's the weather like in Köln?" }],
    }),
  ],
  [
    'MCP',
    json(
      '/mcp',
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name: 'search', arguments: { query: 'latest news about "edge computing"' } },
      },
      {
        headers: [
          ['Mcp-Session-Id', '1868a90c'],
          ['Accept', 'application/json, text/event-stream'],
        ],
      },
    ),
  ],
  [
    'embeddings',
    json('/v1/embeddings', {
      input: ['The food was delicious and the waiter...', 'Wer nicht fragt, bleibt dumm.'],
      model: 'e-3',
      encoding_format: 'float',
    }),
  ],

  // Webhooks
  [
    'payment',
    json(
      '/hooks/pay',
      {
        id: 'evt_1NG8Du2eZvKYlo2CUI79vXWy',
        object: 'event',
        type: 'payment_intent.succeeded',
        data: {
          object: {
            id: 'pi_3M',
            amount: 2000,
            currency: 'eur',
            charges: { url: '/v1/charges?payment_intent=pi_3M' },
            description: "Order #5 (O'Brien)",
          },
        },
      },
      {
        base: [
          ['User-Agent', 'Stripe/1.0 (+https://stripe.com/docs/webhooks)'],
          ['Accept', '*/*; q=0.5, application/xml'],
          [
            'Stripe-Signature',
            't=1492774577,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39',
          ],
        ],
      },
    ),
  ],
  [
    'payment notification',
    make(
      'POST',
      '/ipn',
      [
        ['User-Agent', 'PayPal IPN ( https://www.paypal.com/ipn )'],
        ['Accept', '*/*'],
        ['Content-Type', 'application/x-www-form-urlencoded'],
      ],
      'mc_gross=19.95&protection_eligibility=Eligible&address_status=confirmed&payer_id=LPLWNMTBWMFAY&tax=0.00&address_street=1+Main+St&payment_date=20%3A12%3A59+Jan+13%2C+2009+PST&charset=windows-1252&notify_version=2.6&verify_sign=AtkOfCXbDm2hu0ZELryHFjY-Vb7PAUvS6nMXgysbElEn9v-1XcmSoGtf',
    ),
  ],
  [
    'push',
    json(
      '/hooks/git',
      {
        ref: 'refs/heads/main',
        compare: 'https://github.com/a/b/compare/1...2',
        commits: [
          {
            message: "Fix #5: don't drop the table cache; update tests\n\nCo-authored-by: A <a@example.com>",
            added: ['src/a.ts'],
            removed: [],
          },
        ],
        sender: {
          url: 'https://api.github.com/users/a',
          followers_url: 'https://api.github.com/users/a/following{/other_user}',
        },
      },
      {
        base: [
          ['User-Agent', 'GitHub-Hookshot/044aadd'],
          ['Accept', '*/*'],
          ['X-GitHub-Event', 'push'],
          ['X-Hub-Signature-256', 'sha256=d57c68ca6f92289e6987922ff26938930f6e66a2d161ef06abdf1859230aa23c'],
        ],
      },
    ),
  ],
  [
    'chat command',
    make(
      'POST',
      '/slack',
      [
        ['User-Agent', 'Slackbot 1.0 (+https://api.slack.com/robots)'],
        ['Accept', 'application/json,*/*'],
        ['Content-Type', 'application/x-www-form-urlencoded'],
      ],
      'token=x&team_domain=example&command=%2Fweather&text=94070&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F1234%2F5678&trigger_id=13345224609.738474920.8088930838d88f008e0',
    ),
  ],

  // XML and WebDAV
  [
    'SOAP',
    xml(
      '/soap',
      '<?xml version="1.0" encoding="utf-8"?>\n<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header/><soap:Body><m:GetPrice xmlns:m="https://shop.example/prices"><m:Item>Apples &amp; Pears</m:Item></m:GetPrice></soap:Body></soap:Envelope>',
      [
        ['Content-Type', 'text/xml; charset=utf-8'],
        ['SOAPAction', '"https://shop.example/prices/GetPrice"'],
      ],
    ),
  ],
  [
    'SOAP 1.2',
    xml(
      '/soap',
      '<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body><x/></env:Body></env:Envelope>',
      [['Content-Type', 'application/soap+xml; charset=utf-8']],
    ),
  ],
  [
    'a feed',
    xml(
      '/feed',
      '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>O\'Brien\'s</title><entry><link href="https://shop.example/?a=1&amp;b=2"/></entry></feed>',
      [['Content-Type', 'application/atom+xml']],
    ),
  ],
  ['sitemap ping', get('/ping?sitemap=https%3A%2F%2Fshop.example%2Fsitemap.xml', BOT)],
];

/** Traffic that is ordinary where it belongs, and looks like an attack anywhere else: alarms on it are expected, and listed. */
export const SUSPICIOUS: Traffic = [
  ...(
    [
      ['SQL', "SELECT name FROM users WHERE id = 1 OR name LIKE 'a%' ORDER BY 1;"],
      [
        'an SQL injection, explained',
        "If you enter `' OR '1'='1' --` the WHERE clause is always true. Use prepared statements.",
      ],
      ['JavaScript', '```html\n<script>\n  document.cookie = "a=1";\n</script>\n```'],
      [
        'a shell script',
        '```sh\n#!/bin/sh\nset -e\ncurl -fsSL https://example.com/install.sh | sh\nrm -rf /tmp/build\n```',
      ],
      ['PHP', '<?php echo htmlspecialchars($_GET["q"]); system("ls"); ?>'],
      ['Python', 'import os\nos.system("ls")\nprint(open("/etc/passwd").read())'],
      ['Java', 'Runtime.getRuntime().exec("ls");'],
      ['a log line', '10.0.0.1 - - [21/Nov/2026] "GET /../../etc/passwd HTTP/1.1" 404'],
      [
        'Markdown with HTML',
        '# Title\n\n<details><summary>More</summary>\n\n- [x] done\n- `npm i`\n\n</details>\n\n![img](https://example.com/a.png "t")',
      ],
      ['TypeScript', 'const a = items.filter((x) => x.id !== 5 && x.tags?.includes("b")).map(({ id }) => `${id}`);'],
      ['CSS', '.a::before { content: "\\201C"; } @media (min-width: 40em) { .b > .c { color: #fff; } }'],
      ['a diff', '--- a/x.ts\n+++ b/x.ts\n@@ -1,2 +1,2 @@\n-const a = 1;\n+const a = 2;'],
      ['a config', 'server {\n  listen 80;\n  location / { proxy_pass http://127.0.0.1:8080; }\n}'],
      ['a regular expression', "^(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]+)@(?:[a-z0-9-]+\\.)+[a-z]{2,}$"],
    ] as const
  ).map(([name, text]) => [`a post with ${name}`, form({ title: `How to: ${name}`, body: text })] as const),
  ['a local callback', get('/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A8400%2Fcb&client_id=a&state=1')],
  [
    'PROPFIND',
    xml(
      '/dav/',
      '<?xml version="1.0"?><propfind xmlns="DAV:"><allprop/></propfind>',
      [
        ['Content-Type', 'application/xml'],
        ['Depth', '1'],
      ],
      'PROPFIND',
    ),
  ],
  ['MKCOL', xml('/dav/new/', '', [], 'MKCOL')],
  ['MOVE', xml('/dav/a', '', [['Destination', 'https://shop.example/dav/b']], 'MOVE')],
  [
    'LOCK',
    xml(
      '/dav/a',
      '<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope></D:lockinfo>',
      [['Content-Type', 'application/xml']],
      'LOCK',
    ),
  ],
  [
    'REPORT',
    xml(
      '/dav/cal/',
      '<C:calendar-query xmlns:C="urn:ietf:params:xml:ns:caldav"/>',
      [['Content-Type', 'application/xml']],
      'REPORT',
    ),
  ],
];
