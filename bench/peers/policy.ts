/** The tables of `routing` as policies: what an operator would write. */
import type { TableRoute } from '../harness/table.ts';

/**
 * A few rules as most deployments carry them, none of which fires on the benchmark's requests: an office network, an
 * injection pattern on the query, a path that must not be public, agents that train, a header no browser sends.
 */
const RULES = `
lists:
  office: [192.0.2.0/24, "2001:db8::/32"]
rules:
  - { name: admin, when: 'starts_with(http.request.uri.path, "/admin") and not ip.src in $office', action: block }
  - { name: dotfiles, when: 'http.request.uri.path contains "/.git/" or ends_with(http.request.uri.path, ".env")', action: block }
  - { name: injection, when: 'http.request.uri.query matches "(?i)union.{1,20}select"', action: block }
  - { name: trainers, when: 'agent.category eq "training"', action: block }
  - { name: debug, when: 'any(http.request.headers["x-debug"][*] eq "1")', action: block }
`;

export function policyText(routes: readonly TableRoute[], host: string, origin: string, rules: boolean): string {
  const lines = routes.map(({ name, type, path, method }) => {
    const match = `{ path: { type: ${type}, value: ${path} }${method === null ? '' : `, method: ${method}`} }`;
    return `  - { name: ${name}, matches: [${match}], backend: origin }\n`;
  });
  return `app: bench
hostnames: [${host}]
clientAddress: { from: peer }
backends:
  origin: { url: "http://${origin}" }
${rules ? RULES : ''}
routes:
${lines.join('')}`;
}
