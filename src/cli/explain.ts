/** `sallyport explain`: runs one request through the engine and the phases offline, and prints who decided what and why. */
import { defineCommand } from 'citty';
import { isIP } from 'node:net';
import type { Explanation } from '../router/explain.ts';
import type { Scores } from '../waf/scores.ts';
import { printable } from './accesslog.ts';
import { compileFiles, readPolicy, requireDeployment } from './deployment.ts';
import { openDeployment } from './dry.ts';
import { proposeExclusion, type Proposal } from './exclusion.ts';
import { Failure } from './failure.ts';
import { every } from './options.ts';
import { makeRequest } from './request.ts';

const explainArguments = {
  policy: { type: 'positional', description: 'policy file', required: true },
  request: {
    type: 'positional',
    description: "method and URL, such as 'POST https://shop.example/cart'",
    required: true,
  },
  header: { type: 'string', alias: 'H', description: 'a header line; repeatable', valueHint: 'name: value' },
  data: {
    type: 'string',
    alias: 'd',
    description: 'the body; the method is POST then, unless one is given',
    valueHint: 'text',
  },
  peer: { type: 'string', description: 'address of the TCP peer', valueHint: 'address', default: '192.0.2.1' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

export default defineCommand({
  meta: { name: 'explain', description: 'run a request offline and print every decision' },
  args: explainArguments,
  async run({ args, rawArgs }) {
    if (isIP(args.peer) === 0) throw new Failure(`--peer takes an IP address, not "${args.peer}"`);
    const deployment = requireDeployment(await compileFiles([args.policy]), args.json === true);
    const lines = every(rawArgs, explainArguments, 'header');
    const request = () => readRequest(args.request, lines, args.data);
    const dry = await openDeployment(deployment);
    const explanation = await dry.explain({ request: request(), peer: args.peer, plain: true });
    const proposal = await proposeExclusion(readPolicy(args.policy), explanation, request, args.peer);
    process.stdout.write(
      args.json
        ? `${JSON.stringify({ ok: true, ...explanation, exclusion: proposal })}\n`
        : `${describe(explanation)}${describeWaf(explanation, proposal)}\n`,
    );
  },
});

/** The request that a command line describes. */
export function readRequest(line: string, headerLines: readonly string[], data: string | undefined): Request {
  const parts = /^(?:([A-Za-z-]+)\s+)?(\S+)$/.exec(line.trim());
  if (parts === null) throw new Failure(`the request is METHOD URL, such as 'GET http://localhost/', not "${line}"`);
  const method = (parts[1] ?? (data === undefined ? 'GET' : 'POST')).toUpperCase();
  const headers = headerLines.map((headerLine): [string, string] => {
    const colon = headerLine.indexOf(':');
    if (colon < 1) throw new Failure(`a header is 'name: value', not "${headerLine}"`);
    return [headerLine.slice(0, colon).trim(), headerLine.slice(colon + 1).trim()];
  });
  if ((method === 'GET' || method === 'HEAD') && data !== undefined)
    throw new Failure(`explain gives no body to ${method}`);
  const defaults: [string, string][] = [
    ['user-agent', 'sallyport-explain'],
    ['accept', '*/*'],
    ...(data === undefined ? [] : ([['content-type', 'application/x-www-form-urlencoded']] as [string, string][])),
  ];
  return makeRequest(method, parts[2] ?? '', headers, data === undefined ? null : Buffer.from(data), defaults);
}

/** What the WAF saw, and how to let the request through if that was a false alarm. */
function describeWaf({ waf }: Explanation, proposal: Proposal | null): string {
  if (waf === null) return '';
  const told = ({ inbound, outbound }: Scores): string => `${inbound}${outbound > 0 ? `, outbound ${outbound}` : ''}`;
  const score = `inbound score ${told(waf)}${waf.detection === undefined ? '' : ` (detected: ${told(waf.detection)})`}`;
  const said = waf.blocked ? (waf.mode === 'enforce' ? 'blocked' : 'would block') : 'passed';
  const lines = [
    '',
    '',
    `waf       ${waf.ruleset}, mode ${waf.mode}: ${said}, ${score}${waf.truncated ? ', more events than are shown' : ''}`,
  ];
  for (const { rule, phase, severity, score: points, target, matched, message, transformations } of waf.events) {
    const head = [`${rule}`, `phase ${phase}`, severity, points > 0 ? `+${points}` : '', printable(target)];
    lines.push(`  ${head.filter((part) => part !== '').join('  ')}`, `    ${printable(message)}`);
    const chain = transformations.length > 0 ? `  after ${transformations.join(', ')}` : '';
    if (matched !== '') lines.push(`    matched ${printable(matched)}${chain}`);
  }
  if (proposal !== null)
    lines.push('', 'If this is a false alarm, the narrowest exclusion that lets it through:', '', proposal.yaml);
  else if (waf.blocked) lines.push('', 'No exclusion for this host and path alone lets it through.');
  return lines.join('\n');
}

function describe(explanation: Explanation): string {
  const { app, route, host, path, query, client, agent, identity, by, backend, phases, sent, answer, steps } =
    explanation;
  const rows: [string, string][] = [
    ['app', app || 'none'],
    ['route', route || 'none'],
    ['host', host],
    ['path', `${path.canonical}${path.changed ? ' (made canonical)' : ''}`],
    ['query', query || 'none'],
    ['client', `${client.address || 'not known'}${client.trusted ? ', by a trusted proxy' : ''}`],
    ['agent', agent === '' ? 'none known' : `${agent} (${identity}${by === null ? '' : ` by ${by}`})`],
    ['backend', backend || 'none'],
    ['engine', `${steps} steps`],
  ];
  const lines = rows.map(([name, value]) => `${name.padEnd(9)}${printable(value)}`);
  lines.push('', 'phases');
  const width = Math.max(0, ...phases.map(({ phase }) => phase.length)) + 1;
  for (const { phase, said } of phases) lines.push(`  ${phase.padEnd(width)}${printable(said)}`);
  for (const { endpoint, method, url, headers } of sent) {
    lines.push('', `sent to ${printable(endpoint)}`, `  ${method} ${printable(url)}`);
    for (const [name, value] of headers) lines.push(`  ${name}: ${printable(value)}`);
  }
  lines.push('', answer.origin ? 'answer    the origin’s' : `answer    ${answer.status}`);
  if (!answer.origin) for (const [name, value] of answer.headers) lines.push(`  ${name}: ${printable(value)}`);
  return lines.join('\n');
}
