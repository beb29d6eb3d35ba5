/** `sallyport init`: writes a commented policy for an origin of yours, so that `serve` has something to serve. */
import { existsSync, writeFileSync } from 'node:fs';
import { cancel, confirm, intro, isCancel, outro, text } from '@clack/prompts';
import { defineCommand } from 'citty';
import { compile, formatDiagnostics } from '../compiler/index.ts';
import { ruleSetFinder } from './deployment.ts';
import { Failure, sentence } from './failure.ts';
import { ensureOperatorKey, operatorKeyFile, type OperatorKey } from './operator.ts';

const args = {
  url: { type: 'positional', required: false, description: 'the same as --upstream' },
  upstream: { type: 'string', description: 'origin to put Sallyport in front of', valueHint: 'URL' },
  out: { type: 'string', default: 'sallyport.yaml', description: 'file to write', valueHint: 'path' },
  'operator-key': {
    type: 'boolean',
    description: 'make the key that signs control requests to deployments on Cloudflare; alone, write no policy',
  },
  force: { type: 'boolean', description: 'write over a file that exists' },
  yes: { type: 'boolean', description: 'ask nothing', alias: 'y' },
  json: { type: 'boolean', description: 'print JSON' },
} as const;

const DEFAULT_UPSTREAM = 'http://127.0.0.1:3000';

export default defineCommand({
  meta: { name: 'init', description: 'write a commented policy for an origin of yours; make the operator key' },
  args,
  async run({ args: { url, ...args } }) {
    args.upstream ??= url;
    if (args['operator-key'] === true && args.upstream === undefined) {
      const key = await ensureOperatorKey();
      return void process.stdout.write(
        args.json ? `${JSON.stringify({ ok: true, operatorKey: key })}\n` : described(key),
      );
    }
    const interactive = !args.yes && !args.json && process.stdin.isTTY === true && process.stdout.isTTY === true;
    const answers = interactive
      ? await ask(args.upstream, args.out, args.force === true, args['operator-key'] === true)
      : { upstream: args.upstream, force: args.force === true, operator: args['operator-key'] === true };
    if (answers === null) {
      process.exitCode = 1;
      return;
    }
    if (answers.upstream === undefined) {
      if (!args.yes) throw new Failure('the URL of an origin is needed, such as sallyport init http://127.0.0.1:3000');
      answers.upstream = DEFAULT_UPSTREAM;
    }
    const policy = await policyFor(answers.upstream);
    writePolicy(args.out, policy, answers.force);
    // `dev` lets origins have loopback addresses, which `serve` refuses unless told.
    const next = `sallyport dev ${args.out}`;
    const key = answers.operator ? await ensureOperatorKey() : null;
    if (key !== null && !args.json) process.stdout.write(described(key));
    if (args.json)
      process.stdout.write(
        `${JSON.stringify({ ok: true, file: args.out, upstream: answers.upstream, next, ...(key !== null && { operatorKey: key }) })}\n`,
      );
    else if (interactive) outro(`${args.out} is written. Next: ${next}`);
    else process.stdout.write(`${args.out} is written\nnext: ${next}\n`);
  },
});

/** What the options leave open; null when the person gives up. */
async function ask(
  upstream: string | undefined,
  out: string,
  force: boolean,
  operator: boolean,
): Promise<{ upstream: string | undefined; force: boolean; operator: boolean } | null> {
  const giveUp = (): null => {
    cancel('Nothing was written.');
    return null;
  };
  intro('sallyport init');
  if (existsSync(out) && !force) {
    const answer = await confirm({ message: `${out} exists. Write over it?`, initialValue: false });
    if (isCancel(answer) || !answer) return giveUp();
    force = true;
  }
  if (upstream === undefined) {
    const answer = await text({
      message: 'Which origin shall Sallyport stand in front of?',
      placeholder: DEFAULT_UPSTREAM,
      defaultValue: DEFAULT_UPSTREAM,
      validate: (value) =>
        value === undefined || value === '' || upstreamUrl(value) !== null
          ? undefined
          : 'write it as http://host:port or https://host',
    });
    if (isCancel(answer)) return giveUp();
    upstream = answer;
  }
  if (!operator && !existsSync(operatorKeyFile())) {
    const message = 'Will you deploy to Cloudflare? Then a key is made that signs requests to the control API there.';
    const answer = await confirm({ message, initialValue: false });
    if (isCancel(answer)) return giveUp();
    operator = answer;
  }
  return { upstream, force, operator };
}

function described({ file, x, created }: OperatorKey): string {
  return `operator key ${file} ${created ? 'is made' : 'was there already'}\npublic key ${x}\n`;
}

function upstreamUrl(value: string): URL | null {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.hostname === '') return null;
  return url.username === '' && url.password === '' && url.search === '' && url.hash === '' ? url : null;
}

/** The text of a policy in front of `upstream`; it passes `check`. Throws a Failure when that is no origin. */
export async function policyFor(upstream: string): Promise<string> {
  const url = upstreamUrl(upstream);
  if (url === null)
    throw new Failure(
      `--upstream takes a URL such as http://127.0.0.1:3000, without user, query and fragment, not "${upstream}"`,
    );
  const policy = template(`${url.origin}${url.pathname.replace(/\/+$/, '')}`, url.protocol === 'https:');
  const { ok, diagnostics } = await compile({
    files: [{ path: 'sallyport.yaml', text: policy }],
    target: 'workerd',
    agents: null,
    rulesets: ruleSetFinder(process.cwd()),
  });
  if (!ok)
    throw new Failure(
      `no policy can be written for "${upstream}"\n${formatDiagnostics(diagnostics, { readText: () => policy })}`,
    );
  return policy;
}

/** Never over a file that exists, unless asked to: `wx` also closes the gap between looking and writing. */
function writePolicy(file: string, policy: string, force: boolean): void {
  try {
    writeFileSync(file, policy, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new Failure(`${file} exists; --force writes over it`);
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Failure(`the directory of ${file} does not exist`);
    throw new Failure(sentence(error));
  }
}

/** JSON strings are YAML strings: nothing in a URL can break out of them. */
const template = (
  upstream: string,
  https: boolean,
): string => `# Sallyport policy. Try it:   sallyport check FILE        what is wrong with it, and where
#                             sallyport dev FILE          serve it on 127.0.0.1:8080
#                             sallyport explain FILE 'GET http://localhost/'
app: app
# hostnames: [www.example.com, "*.example.com"]   # default: any host

backends:
  origin:
    url: ${JSON.stringify(upstream)}
    host: ${https ? 'url                     # the origin gets the name in its URL' : 'preserve                # the origin gets the Host that the client sent'}; preserve | url | a name

# Who is the client? The TCP peer, unless a proxy of yours stands in front:
# clientAddress: { from: xff, trustedCIDRs: [10.0.0.0/8] }

# The web application firewall, with the rules that come with Sallyport. mode: log only records what it would block;
# then write enforce. \`sallyport explain\` proposes exclusions for false alarms. Other rules: sallyport rules add crs@4.28.0
waf:
  mode: log
  # exclude: [{ rule: 9020010, target: "ARGS:q" }]

# lists:
#   office: [192.0.2.0/24]             # then, in a rule: ip.src in $office

# Rules are looked at in order, for every request, in the language of Cloudflare's rules.
# mode: log records what would have happened, enforce (the default) does it, off leaves the rule out.
rules:
  - name: dotfiles
    when: http.request.uri.path matches "/[.](env|git|aws|ssh|htaccess)"
    action: block
    status: 404
    reason: not found

  - name: training-crawlers
    when: agent.category eq "training"
    action: block
    mode: log

# Routes say where a request goes; the most specific match wins. See examples/reference/sallyport.yaml for all of it.
routes:
  # - name: api
  #   matches: [{ path: { type: PathPrefix, value: /api } }]
  #   filters: [{ urlRewrite: { path: { replacePrefixMatch: / } } }]
  #   backend: origin
  - name: everything
    backend: origin
    timeouts: { backendRequest: 30s }  # until the origin begins to answer
    retry: { codes: [502, 503], attempts: 1, backoff: 50ms }
`;
