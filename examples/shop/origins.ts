/** Two small real origins for the example: a shop that serves pages, and its JSON API. Run by `npm start`. */
import { createServer, type RequestListener, type Server } from 'node:http';

export const WEB_PORT = 9081;
export const API_PORT = 9082;

const products = [
  { id: 1, name: 'Portcullis chain, 4 m', price: 38 },
  { id: 2, name: 'Arrow-slit shutter, oak', price: 64 },
  { id: 3, name: 'Gatehouse lantern', price: 27.5 },
];

const escape = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const page = (title: string, body: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title><h1>${escape(title)}</h1>${body}</html>\n`;

const matching = (query: string) => products.filter(({ name }) => name.toLowerCase().includes(query.toLowerCase()));

/** Pages: `/`, `/search?q=`, `/admin`. */
const web: RequestListener = (request, response) => {
  const url = new URL(request.url ?? '/', 'http://shop');
  const list = (found: typeof products) =>
    `<ul>${found.map(({ name, price }) => `<li>${escape(name)}: ${price.toFixed(2)}</li>`).join('')}</ul>`;
  const html = (status: number, title: string, body: string) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
    response.end(page(title, body));
  };
  if (url.pathname === '/') html(200, 'The castle shop', list(products));
  else if (url.pathname === '/search')
    html(200, `Search: ${url.searchParams.get('q') ?? ''}`, list(matching(url.searchParams.get('q') ?? '')));
  else if (url.pathname.startsWith('/admin')) html(200, 'Stock room', '<p>Only the office should see this.</p>');
  else html(404, 'Not here', `<p>${escape(url.pathname)} is not in the shop.</p>`);
};

/** JSON: `GET /products`, `GET /products/ID`, `POST /orders`, and `/headers`, which shows what arrived. */
const api: RequestListener = (request, response) => {
  const url = new URL(request.url ?? '/', 'http://api');
  const json = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  };
  const one = /^\/products\/(\d{1,9})$/.exec(url.pathname);
  if (url.pathname === '/products') return json(200, products);
  if (url.pathname === '/headers') return json(200, { url: request.url, headers: request.headers });
  if (one !== null) {
    const product = products.find(({ id }) => id === Number(one[1]));
    return product === undefined ? json(404, { error: 'no such product' }) : json(200, product);
  }
  if (url.pathname === '/orders' && request.method === 'POST') {
    let size = 0;
    request.on('data', (part: Buffer) => (size += part.length));
    request.on('end', () => json(201, { order: 1001, bytes: size }));
    return;
  }
  json(404, { error: 'no such resource' });
};

/** Starts both on loopback; rejects with the port's own error when one is taken. */
export async function startOrigins(): Promise<{ close(): void }> {
  const servers: Server[] = [];
  const close = () => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  };
  try {
    for (const [port, listener] of [
      [WEB_PORT, web],
      [API_PORT, api],
    ] as const) {
      const server = createServer(listener);
      servers.push(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, '127.0.0.1', resolve);
      });
    }
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}
