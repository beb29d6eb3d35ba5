/** `sallyport dev`: serve for the machine where the app is being written: watches the policy, allows loopback origins. */
import { defineCommand } from 'citty';
import { existsSync } from 'node:fs';
import { policyFiles } from './options.ts';
import { gatewayOptions, runGateway, serveArguments } from './serve.ts';

export default defineCommand({
  meta: { name: 'dev', description: 'serve with --watch and --allow-loopback; without a policy, tunnels only' },
  args: serveArguments,
  run: ({ args, rawArgs }) => {
    const options = gatewayOptions({ ...args, watch: true, 'allow-loopback': true }, rawArgs);
    const [file = ''] = policyFiles([]);
    if (args._.length > 0 || existsSync(file) || options.tunnels === false) return runGateway(options);
    const message = `there is no ${file}, so there are tunnels only; sallyport init http://127.0.0.1:3000 writes one`;
    options.report({ event: 'notice', message });
    return runGateway({ ...options, files: [] });
  },
});
