/**
 * Between the suite and a joined endpoint: the suite knows the tools of a reference server by their own names, a joined
 * endpoint by the server's name in front. Names and URIs get it on their way in and lose it on their way out, line by line;
 * nothing else changes.
 */
import { createServer, request as ask } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Json } from './everything.ts';

export async function startPrefixes(target: string, server: string): Promise<{ url: string; stop(): Promise<void> }> {
  const { hostname, port, pathname } = new URL(target);
  const name = (own: unknown): unknown => (typeof own === 'string' ? `${server}_${own}` : own);
  const uri = (own: unknown): unknown => (typeof own === 'string' ? `${server}+${own}` : own);
  const http = createServer((incoming, answer) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const headers = { ...incoming.headers };
      delete headers['content-length'];
      const named = headers['mcp-name'];
      if (typeof named === 'string')
        headers['mcp-name'] = header(named, String(headers['mcp-method']).startsWith('resources/') ? uri : name);
      const body = text === '' ? '' : renamed(text);
      const sent = ask({ hostname, port, path: pathname, method: incoming.method, headers }, (response) => {
        answer.writeHead(response.statusCode ?? 500, without(response.headers));
        let rest = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) answer.write(bare(line) + '\n');
        });
        response.on('end', () => answer.end(bare(rest)));
        response.on('error', () => answer.destroy());
      });
      answer.on('close', () => sent.destroy());
      sent.on('error', () => answer.destroy());
      sent.end(body);
    });
  });
  const renamed = (text: string): string => {
    let message: Json;
    try {
      message = JSON.parse(text) as Json;
    } catch {
      return text;
    }
    const params = message['params'] as Json | undefined;
    if (params === undefined) return text;
    const ref = params['ref'] as Json | undefined;
    if (ref?.['name'] !== undefined) ref['name'] = name(ref['name']);
    if (ref?.['uri'] !== undefined) ref['uri'] = uri(ref['uri']);
    const method = String(message['method']);
    if (params['name'] !== undefined && /^(?:tools\/call|prompts\/get)$/.test(method))
      params['name'] = name(params['name']);
    if (params['uri'] !== undefined && method.startsWith('resources/')) params['uri'] = uri(params['uri']);
    return JSON.stringify(message);
  };
  const bare = (line: string): string => line.replaceAll(`"${server}_`, '"').replaceAll(`"${server}+`, '"');
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    stop: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
}

function header(value: string, change: (own: unknown) => unknown): string {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value)?.[1];
  if (encoded === undefined) return String(change(value));
  const plain = Buffer.from(encoded, 'base64').toString('utf8');
  return `=?base64?${Buffer.from(String(change(plain))).toString('base64')}?=`;
}

function without(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string | string[]> {
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined && name !== 'content-length' && name !== 'transfer-encoding' && name !== 'connection')
      kept[name] = value;
  return kept;
}
