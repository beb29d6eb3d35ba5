/** `sallyport health`: does a deployment run, and is a policy being served. Exit code 1 unless both. */
import { defineCommand } from 'citty';
import { askControl, placeArguments, requireOk } from './running.ts';

export default defineCommand({
  meta: { name: 'health', description: 'whether a deployment runs and is ready' },
  args: { ...placeArguments, json: { type: 'boolean', description: 'print JSON' } },
  async run({ args }) {
    const ask = async (path: string): Promise<boolean> => {
      const answer = await askControl(args, 'GET', path);
      return answer.status !== 503 && requireOk(answer).status === 200;
    };
    const [healthy, ready] = [await ask('/healthz'), await ask('/readyz')];
    if (!healthy || !ready) process.exitCode = 1;
    process.stdout.write(
      args.json
        ? `${JSON.stringify({ ok: healthy && ready, healthy, ready })}\n`
        : `${healthy ? 'healthy' : 'not healthy'}, ${ready ? 'ready' : 'not ready'}\n`,
    );
  },
});
