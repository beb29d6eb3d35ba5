/** The control socket of an on-prem deployment, described in OpenAPI 3.1; that of one worker is src/control/openapi.ts. */
import { AGENT_PATHS } from '../control/openapi-agents.ts';
import { PAYMENT_PATHS } from '../control/openapi-payments.ts';
import { TUNNEL_PATHS } from '../control/openapi-tunnels.ts';

const json = (description: string, properties: Record<string, unknown>) => ({
  description,
  content: { 'application/json': { schema: { type: 'object', properties } } },
});
const ok = { type: 'boolean' };
const workers = { type: 'array', items: { type: 'object' } };
const health = { ok, workers: { type: 'array', items: { type: 'boolean' }, description: 'one of each process' } };

export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'Sallyport deployment API',
    version: '1',
    description:
      'Status, reload, health, metrics and tunnels of all processes of one deployment, on a unix socket of mode 0600. ' +
      'Each process has the worker API, swap included, on a private socket of its own.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: {
    '/v1/status': {
      get: {
        operationId: 'status',
        summary: 'The deployment, its processes and what each says of itself',
        responses: {
          200: json('status', { generation: { type: 'string' }, apps: { type: 'array' }, workers }),
        },
      },
    },
    '/v1/reload': {
      post: {
        operationId: 'reload',
        summary: 'Compile the policy files again and swap them in',
        responses: {
          200: json('swapped in, or nothing had changed', { ok, generation: { type: 'string' } }),
          409: json('refused; the last good policy goes on serving', { ok, reason: { type: 'string' } }),
        },
      },
    },
    '/healthz': {
      get: {
        operationId: 'health',
        summary: 'Any process answers',
        responses: { 200: json('healthy', health), 503: json('none answers', health) },
      },
    },
    '/readyz': {
      get: {
        operationId: 'ready',
        summary: 'All processes serve a policy',
        responses: { 200: json('ready', health), 503: json('not all are ready', health) },
      },
    },
    '/metrics': {
      get: {
        operationId: 'metrics',
        summary: 'Prometheus text, summed over the processes',
        responses: { 200: { description: 'metrics', content: { 'text/plain': { schema: { type: 'string' } } } } },
      },
    },
    ...TUNNEL_PATHS,
    ...AGENT_PATHS,
    ...PAYMENT_PATHS,
    '/v1/openapi.json': {
      get: { operationId: 'describe', summary: 'This description', responses: { 200: json('OpenAPI 3.1', {}) } },
    },
  },
} as const;
