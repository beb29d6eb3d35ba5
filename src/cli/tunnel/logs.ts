/** `sallyport tunnel logs`: the last requests of a connector on this machine, and those that come. */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import { printable } from '../accesslog.ts';
import { exchangeLine } from './exchange-line.ts';
import { connectorNamed, followConnector } from './local.ts';
import type { Shown, ShownBody, ShownWhole } from './ring.ts';

export default defineCommand({
  meta: { name: 'logs', description: 'the last requests of a connector on this machine' },
  args: {
    name: { type: 'positional', description: 'tunnel; not needed where one connector is running', required: false },
    inspect: { type: 'boolean', description: 'with headers, and bodies where the connector keeps them' },
    follow: { type: 'boolean', description: 'go on with those that come', alias: 'f' },
    json: { type: 'boolean', description: 'print one request a line' },
  },
  async run({ args }) {
    const connector = await connectorNamed(args.name);
    const options = [args.inspect ? 'whole=1' : '', args.follow ? 'follow=1' : ''].filter(Boolean);
    const print = (line: string): void => {
      const text = args.json
        ? line
        : args.inspect
          ? wholeText(JSON.parse(line) as ShownWhole)
          : exchangeLine(JSON.parse(line) as Shown);
      process.stdout.write(`${text}\n`);
    };
    await followConnector(connector, `/v1/exchanges?${options.join('&')}`, print);
  },
});

export function wholeText(one: ShownWhole): string {
  const fields = (all: ShownWhole['requestFields']): string[] =>
    all.map(([name, value]) => `  ${pc.cyan(printable(name))}: ${printable(value)}`);
  return [
    exchangeLine(one),
    ...fields(one.requestFields),
    ...bodyText(one.requestBody),
    ...(one.status === null
      ? []
      : [pc.dim(`  -> ${one.status} ${printable(one.reason)}`), ...fields(one.responseFields)]),
    ...bodyText(one.responseBody),
    '',
  ].join('\n');
}

function bodyText(body: ShownBody | null): string[] {
  if (body === null || body.bytes === 0) return [];
  const cut = body.truncated ? ', cut' : '';
  if (body.text === undefined) return [pc.dim(`  [${body.bytes} bytes that are no text${cut}]`)];
  const lines = body.text.split('\n').map((line) => `  | ${printable(line)}`);
  return [pc.dim(`  [${body.bytes} bytes${cut}]`), ...lines];
}
