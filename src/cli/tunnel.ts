/** `sallyport tunnel ...`: each action is one file, loaded when it is asked for. */
import { defineCommand, type CommandDef } from 'citty';

const load = (module: Promise<{ default: unknown }>) => module.then((loaded) => loaded.default as CommandDef);

export default defineCommand({
  meta: { name: 'tunnel', description: 'publish a server of this network through an edge' },
  subCommands: {
    listen: () => load(import('./tunnel/listen.ts')),
    ps: () => load(import('./tunnel/ps.ts')),
    logs: () => load(import('./tunnel/logs.ts')),
    replay: () => load(import('./tunnel/replay.ts')),
    access: () => load(import('./tunnel/access.ts')),
  },
});
