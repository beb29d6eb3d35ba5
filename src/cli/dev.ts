/** `sallyport dev`: serve for the machine where the app is being written: watches the policy, allows loopback origins. */
import { defineCommand } from 'citty';
import { gatewayOptions, runGateway, serveArguments } from './serve.ts';

export default defineCommand({
  meta: { name: 'dev', description: 'serve with --watch and --allow-loopback' },
  args: serveArguments,
  run: ({ args, rawArgs }) => runGateway(gatewayOptions({ ...args, watch: true, 'allow-loopback': true }, rawArgs)),
});
