/** `sallyport reload`: a running deployment compiles its policy files again and swaps them in. */
import { defineCommand } from 'citty';
import { Failure } from './failure.ts';
import type { ReloadResult } from './gateway.ts';
import { renderDiagnostics } from './report.ts';
import { askControl, jsonOf, placeArguments } from './running.ts';

export default defineCommand({
  meta: { name: 'reload', description: 'compile the policies of a running deployment again and swap them in' },
  args: {
    control: placeArguments.control,
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const result = jsonOf(await askControl(args, 'POST', '/v1/reload')) as ReloadResult;
    if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else if (result.diagnostics.length > 0) process.stdout.write(`${renderDiagnostics(result.diagnostics)}\n`);
    if (result.ok && !args.json) process.stdout.write(`generation ${result.generation} is served\n`);
    if (!result.ok && args.json) process.exitCode = 1;
    else if (!result.ok) throw new Failure(`${result.reason}; generation ${result.generation} goes on serving`);
  },
});
