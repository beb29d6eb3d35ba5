/** `sallyport agents report`: who came, what was refused and why, tokens and charges. */
import pc from 'picocolors';
import type { AgentsReport } from '../agents/agent-report.ts';
import type { AgentTally } from '../agents/agent-tally.ts';
import { printable } from './accesslog.ts';
import { askControl, jsonOf, requireOk } from './running.ts';

export interface ReportArguments {
  readonly url?: string | undefined;
  readonly control?: string | undefined;
  readonly since?: string | undefined;
  readonly json?: boolean | undefined;
}

export async function agentsReport({ url, control, since, json }: ReportArguments): Promise<void> {
  const query = since === undefined ? '' : `?since=${encodeURIComponent(since)}`;
  const report = jsonOf(requireOk(await askControl({ url, control }, 'GET', `/v1/agents${query}`))) as AgentsReport;
  process.stdout.write(json === true ? `${JSON.stringify(report)}\n` : reportText(report));
}

/** The report for people. Names come from requests, so nothing of them reaches the terminal but printable text. */
export function reportText({ since, until, agents }: AgentsReport): string {
  const days = since === until ? since : `${since} to ${until}`;
  if (agents.length === 0) return `no agents came (${days})\n`;
  const heading = [
    'agent',
    'operator',
    'category',
    'identity',
    'requests',
    'refused',
    'robots',
    'tokens in/out',
    'paid',
  ];
  const rows = agents.map((agent) => [
    printable(agent.agent === '' ? '(unnamed)' : agent.agent),
    printable(agent.operator),
    printable(agent.category),
    printable(agent.identity),
    String(agent.requests),
    String(agent.refused),
    String(agent.robotsViolations),
    tokensText(agent),
    agent.charges.map(({ currency, millionths }) => `${amountText(millionths)} ${printable(currency)}`).join(', '),
  ]);
  const widths = heading.map((text, at) => Math.min(40, Math.max(text.length, ...rows.map((row) => row[at]!.length))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd();
  const lines = [pc.dim(line(heading))];
  agents.forEach((agent, index) => {
    lines.push(line(rows[index]!));
    for (const { phase, rule, reason, requests } of agent.refusals)
      lines.push(pc.dim(`    ${requests} refused by ${printable(`${phase} ${rule}`.trim())}: ${printable(reason)}`));
  });
  return `${lines.join('\n')}\n${pc.dim(days)}\n`;
}

function tokensText({ tokens: { input, output, estimated } }: AgentTally): string {
  if (input + output === 0) return '';
  return `${input}/${output}${estimated === 0 ? '' : ` (${estimated} estimated)`}`;
}

function amountText(millionths: number): string {
  const cents = millionths % 10_000 === 0;
  return cents ? (millionths / 1_000_000).toFixed(2) : (millionths / 1_000_000).toFixed(6).replace(/0+$/, '');
}
