/** Asks a project's registry (src/tunnel/registry.ts): one POST with arguments as JSON, one answer as JSON. */
import type { RegistryMethod, TunnelRegistry } from '../tunnel/registry.ts';
import type { Env, Fetcher } from './bindings.ts';

export interface RegistryNamespace {
  getByName(name: string): Fetcher;
}

export type Registry = {
  readonly [Method in RegistryMethod]: (
    ...args: Parameters<TunnelRegistry[Method]>
  ) => Promise<Awaited<ReturnType<TunnelRegistry[Method]>>>;
};

/** The registry of the project with that thumbprint; null: this deployment has none. Methods reject when it fails. */
export function registryOf({ TUNNEL_REGISTRY: namespace }: Env, project: string): Registry | null {
  if (namespace === undefined) return null;
  const object = namespace.getByName(project);
  const call = async (method: string, args: readonly unknown[]): Promise<unknown> => {
    const answer = await object.fetch(`http://registry/${method}`, { method: 'POST', body: JSON.stringify(args) });
    if (answer.status !== 200) throw new Error(`the registry answers ${method} with status ${answer.status}`);
    return await answer.json();
  };
  return new Proxy({} as Registry, {
    get:
      (_target, method) =>
      (...args: readonly unknown[]) =>
        call(String(method), args),
  });
}
