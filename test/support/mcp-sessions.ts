/** Objects of sessions in this process, for units: a map for each object. */
import type { ObjectNamespace } from '../../src/durable-object.ts';

export function sessionObjects(): { readonly namespace: ObjectNamespace; readonly kept: Map<string, string> } {
  const kept = new Map<string, string>();
  const namespace: ObjectNamespace = {
    idFromName: (name) => name,
    get: () => ({
      fetch: async (url, init) => {
        const request = new Request(url, init);
        const { pathname } = new URL(url);
        const value = kept.get(pathname);
        if (request.method === 'PUT')
          return (kept.set(pathname, await request.text()), new Response(null, { status: 201 }));
        if (request.method === 'DELETE') kept.delete(pathname);
        return value === undefined ? new Response(null, { status: 404 }) : new Response(value);
      },
    }),
  };
  return { namespace, kept };
}
