/** Runs a group of tests once per target, against one gateway that they share. */
import { after, before, describe } from 'node:test';
import { startGateway, TARGETS, type Gateway, type Target } from '../gateway.ts';

/** `SALLYPORT_TARGET=workerd` runs the scenarios of one target only. */
const chosen = TARGETS.filter((target) => (process.env['SALLYPORT_TARGET'] ?? target) === target);

export interface World {
  readonly target: Target;
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
}

export function onEachTarget(
  name: string,
  setup: {
    policy: (target: Target) => Promise<string | string[]>;
    args?: (target: Target) => readonly string[];
    env?: (target: Target) => Record<string, string>;
    prepare?: (folder: string) => Promise<void>;
    only?: Target;
    teardown: () => Promise<void>;
  },
  tests: (world: World) => void,
): void {
  for (const target of chosen.filter((one) => setup.only === undefined || setup.only === one)) {
    describe(`${name} [${target}]`, () => {
      let gateway: Gateway | undefined;
      const need = (): Gateway => {
        if (!gateway) throw new Error('the gateway did not start');
        return gateway;
      };
      before(async () => {
        const policy = await setup.policy(target);
        gateway = await startGateway({
          policy,
          target,
          ...(setup.args ? { args: setup.args(target) } : {}),
          ...(setup.env ? { env: setup.env(target) } : {}),
          ...(setup.prepare ? { prepare: setup.prepare } : {}),
        });
      });
      after(async () => {
        await gateway?.stop();
        await setup.teardown();
      });
      tests({
        target,
        get gateway() {
          return need();
        },
        get url() {
          return need().url;
        },
        get port() {
          return need().port;
        },
      });
    });
  }
}
