/** `sallyport tunnel replay`: sends a captured request to its target again. */
import { defineCommand } from 'citty';
import { described } from '../described.ts';
import { Failure } from '../failure.ts';
import type { Replayed } from './inspector.ts';
import { askConnector, connectorNamed } from './local.ts';
import { wholeText } from './logs.ts';

export default defineCommand({
  meta: described({
    name: 'replay',
    description: 'send a request of a running connector to its target again',
    examples: ['sallyport tunnel logs laptop   # numbers of requests', 'sallyport tunnel replay 17 laptop'],
  }),
  args: {
    id: { type: 'positional', description: 'number of the request, as logs shows it', required: true },
    name: { type: 'positional', description: 'tunnel; not needed where one connector is running', required: false },
    json: { type: 'boolean', description: 'print JSON' },
  },
  async run({ args }) {
    const id = /^#?(\d{1,15})$/.exec(args.id)?.[1];
    if (id === undefined)
      throw new Failure(`replay takes the number of a request, as tunnel logs shows it, not "${args.id}"`);
    const replayed = (await askConnector(
      await connectorNamed(args.name),
      'POST',
      `/v1/exchanges/${id}/replay`,
    )) as Replayed;
    if (args.json) return void process.stdout.write(`${JSON.stringify(replayed)}\n`);
    const { exchange, status, reason } = replayed;
    process.stdout.write(`${exchange === null ? `${status} ${reason}` : wholeText(exchange)}\n`);
  },
});
