/** `sallyport metrics`: the counters of a deployment as Prometheus text. On Cloudflare those of the isolate that answers. */
import { defineCommand } from 'citty';
import { askControl, placeArguments, requireOk } from './running.ts';

export default defineCommand({
  meta: { name: 'metrics', description: 'counters of a deployment, as Prometheus text' },
  args: placeArguments,
  async run({ args }) {
    const { body } = requireOk(await askControl(args, 'GET', '/metrics'));
    // SAFETY: whoever answered, a terminal gets no escape sequences.
    process.stdout.write(body.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\ufffd'));
  },
});
