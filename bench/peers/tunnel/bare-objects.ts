/**
 * The least that a sleeping socket can be in workerd: a worker that hands an upgrade to an object, which accepts it to
 * hibernate, says one word and writes nothing down. What our sockets cost beside it is ours, the rest is the runtime's.
 */
import { capnpConfig, Embed } from '../../../src/cli/capnp.ts';
import { COMPATIBILITY_DATE, COMPATIBILITY_FLAGS, workerdBinary } from '../../../src/cli/workerd.ts';
import { PING_TEXT, PONG_TEXT } from '../../../src/tunnel/welcome.ts';
import { freePort, type Processes, type Server } from '../../harness/processes.ts';

export const NAME_HEADER = 'x-name';

const WORKER = `
export class Bare {
  #context;
  constructor(context) {
    this.#context = context;
    context.setWebSocketAutoResponse(new WebSocketRequestResponsePair('${PING_TEXT}', '${PONG_TEXT}'));
  }
  fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#context.acceptWebSocket(server);
    server.send('welcome');
    return new Response(null, { status: 101, webSocket: client });
  }
  webSocketMessage() {}
}
export default {
  async fetch(request, env) {
    const name = request.headers.get('${NAME_HEADER}');
    return name === null ? new Response('up') : await env.BARE.getByName(name).fetch(request);
  },
};
`;

/** Starts it as the gateway's own processes are, but with V8's defaults, as any worker would be. */
export async function startBareObjects(processes: Processes): Promise<Server> {
  const port = await freePort();
  processes.write('bare-objects.js', WORKER);
  const config = capnpConfig({
    services: [
      {
        name: 'main',
        worker: {
          modules: [{ name: 'bare-objects.js', esModule: new Embed('bare-objects.js') }],
          compatibilityDate: COMPATIBILITY_DATE,
          compatibilityFlags: [...COMPATIBILITY_FLAGS],
          durableObjectNamespaces: [{ className: 'Bare', uniqueKey: 'bare', enableSql: true }],
          durableObjectStorage: { localDisk: 'disk' },
          bindings: [{ name: 'BARE', durableObjectNamespace: 'Bare' }],
        },
      },
      { name: 'disk', disk: { path: processes.folder, writable: true } },
    ],
    sockets: [{ name: 'http', address: `127.0.0.1:${port}`, http: {}, service: 'main' }],
  });
  return await processes.start(workerdBinary(), ['serve', processes.write('bare-objects.capnp', config)], port);
}
