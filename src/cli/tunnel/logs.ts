/**
 * `sallyport tunnel logs`: the last requests of a connector on this machine, and those that come; of one elsewhere those
 * that come, as the edge sees them.
 */
import { defineCommand } from 'citty';
import pc from 'picocolors';
import { printable } from '../accesslog.ts';
import { exchangeLine } from './exchange-line.ts';
import { connectorNamed, followConnector, localConnectors } from './local.ts';
import type { Shown, ShownBody, ShownSocket, ShownWhole } from '../../tunnel/shown.ts';
import { described } from '../described.ts';
import { Failure } from '../failure.ts';
import { askControl, jsonOf, type Place, placeArguments, requireOk } from '../running.ts';

export default defineCommand({
  meta: described({
    name: 'logs',
    description: 'requests of a tunnel: the last ones where its connector runs, else those that come',
    examples: [
      'sallyport tunnel logs laptop --follow --inspect',
      'sallyport tunnel logs office --url https://control.example.com   # of a connector elsewhere, as the edge sees them',
    ],
  }),
  args: {
    name: { type: 'positional', description: 'tunnel; not needed where one connector is running', required: false },
    inspect: { type: 'boolean', description: 'with headers, and bodies where the connector keeps them' },
    ...placeArguments,
    follow: { type: 'boolean', description: 'go on with those that come', alias: 'f' },
    json: { type: 'boolean', description: 'print one request a line' },
  },
  async run({ args }) {
    const options = [args.inspect ? 'whole=1' : '', args.follow ? 'follow=1' : ''].filter(Boolean);
    const print = (line: string): void => {
      const text = args.json
        ? line
        : args.inspect
          ? wholeText(JSON.parse(line) as ShownWhole)
          : exchangeLine(JSON.parse(line) as Shown);
      process.stdout.write(`${text}\n`);
    };
    const { name } = args;
    const place = args.control !== undefined || args.url !== undefined;
    if (
      name !== undefined &&
      (place || !(await localConnectors()).some((one) => one.name === name || String(one.pid) === name))
    )
      return await followTunnel(args, name, args.inspect === true, print);
    const connector = await connectorNamed(name);
    await followConnector(connector, `/v1/exchanges?${options.join('&')}`, print);
  },
});

const INTERVAL = 500; // ms between questions

/** Asks the edge, until it is ended. */
async function followTunnel(
  place: Place,
  name: string,
  inspect: boolean,
  print: (line: string) => void,
): Promise<void> {
  const path = `/v1/tunnels/${encodeURIComponent(name)}/requests`;
  for (let after = ''; ; await new Promise((resolve) => setTimeout(resolve, INTERVAL))) {
    const query = new URLSearchParams({ ...(after !== '' && { after }), ...(inspect && { inspect: '1' }) });
    const answer = await askControl(place, 'GET', `${path}?${query.toString()}`).catch((error: unknown) => {
      if (after !== '' || place.control !== undefined || place.url !== undefined || !(error instanceof Failure))
        throw error;
      throw new Failure(
        `no connector of yours on this machine is called ${name} (sallyport tunnel ps lists them), and of one elsewhere the edge knows: ${error.message}`,
      );
    });
    const { requests, next, missed, open } = jsonOf(requireOk(answer)) as {
      readonly requests: readonly Shown[];
      readonly next: string;
      readonly missed: number;
      readonly open: readonly ShownSocket[];
    };
    if (after === '') process.stderr.write(pc.dim(`requests of ${name} that end from now on; Ctrl-C ends this\n`));
    for (const one of open) process.stderr.write(`${openLine(one)}\n`);
    for (const one of requests) print(JSON.stringify(one));
    if (missed > 0) process.stderr.write(`${missed} more ended, too many to be noted\n`);
    after = next;
  }
}

function openLine({ kind, service, started, host, target }: ShownSocket): string {
  const what = kind === 'tcp' ? 'tcp' : `WebSocket ${pc.dim(printable(host))}${printable(target)}`;
  return [`open since ${started}`, what, service === '' ? '' : pc.dim(service)].filter(Boolean).join('  ');
}

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
