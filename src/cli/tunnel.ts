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
    create: () => load(import('./tunnel/create.ts')),
    list: () => load(import('./tunnel/list.ts')),
    status: () => load(import('./tunnel/status.ts')),
    revoke: () => load(import('./tunnel/revoke.ts')),
    delete: () => load(import('./tunnel/delete.ts')),
    offer: () => load(import('./tunnel/offer.ts').then(({ offer }) => ({ default: offer }))),
    accept: () => load(import('./tunnel/offer.ts').then(({ accept }) => ({ default: accept }))),
    withdraw: () => load(import('./tunnel/offer.ts').then(({ withdraw }) => ({ default: withdraw }))),
    install: () => load(import('./tunnel/install.ts')),
  },
});
