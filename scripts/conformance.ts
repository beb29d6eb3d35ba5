/** `npm run conformance -- NAME`: other people's suites, told in our words, with a scorecard as the last line. */
import { runCrs, runCrsPeers } from '../test/conformance/crs.ts';
import { runDetectors } from '../test/conformance/detectors.ts';
import { runCrsHttp } from '../test/conformance/crs-http.ts';
import { runWafDifferential } from '../test/conformance/waf-differential.ts';
import { runWafTraffic } from '../test/conformance/waf-traffic.ts';
import { runGatewayApi, type Outcome } from '../test/conformance/gateway-api.ts';
import { runMcp } from '../test/conformance/mcp.ts';
import { runWebBotAuth } from '../test/conformance/web-bot-auth.ts';
import { runRobots } from '../test/conformance/robots.ts';
import { runRfc9421 } from '../test/conformance/rfc9421.ts';
import { runStructuredFields } from '../test/conformance/structured-fields.ts';

const SUITES: Record<string, (only: readonly string[], report: (outcome: Outcome) => void) => Promise<Outcome[]>> = {
  'gateway-api': runGatewayApi,
  crs: runCrs,
  detectors: runDetectors,
  'crs-http': runCrsHttp,
  'crs-peers': runCrsPeers,
  'waf-differential': runWafDifferential,
  'waf-traffic': runWafTraffic,
  'structured-fields': runStructuredFields,
  rfc9421: runRfc9421,
  robots: runRobots,
  'web-bot-auth': runWebBotAuth,
  mcp: runMcp,
};

const [name = '', ...only] = process.argv.slice(2);
const suite = Object.hasOwn(SUITES, name) ? SUITES[name] : undefined;
if (!suite) {
  console.error(`no conformance suite ${JSON.stringify(name)}; there is: ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}

const mark = { passed: '✓', failed: '✗', skipped: '–' };
try {
  const outcomes = await suite(only, (outcome) => {
    console.log(
      `${mark[outcome.result]} ${outcome.id}${outcome.detail ? `\n    ${outcome.detail.replaceAll('\n', '\n    ')}` : ''}`,
    );
  });
  const count = (result: Outcome['result']): number => outcomes.filter((outcome) => outcome.result === result).length;
  console.log(`${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
  process.exitCode = count('failed') > 0 || outcomes.length === 0 ? 1 : 0;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.log(`${name}: did not run`);
  process.exitCode = 1;
}
