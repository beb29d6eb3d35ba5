/** The control API, described in OpenAPI 3.1. */
import { AGENT_PATHS } from './openapi-agents.ts';
import { PAYMENT_PATHS } from './openapi-payments.ts';
import { TUNNEL_PATHS } from './openapi-tunnels.ts';

const problem = {
  description: 'Problem details (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
const unsigned = { ...problem, description: 'On Cloudflare: not signed by the operator, or signed wrongly' };
const text = (description: string) => ({ description, content: { 'text/plain': { schema: { type: 'string' } } } });
const json = (description: string, schema: string) => ({
  description,
  content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } },
});
const hash = { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of an image, lower-case hex' };

export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'Sallyport control API',
    version: '1',
    description:
      'Health, metrics, status, policy swap and tunnels of one worker: on-prem a process, on Cloudflare the isolate that answers. ' +
      'On-prem it listens on a private unix socket and takes no signature; on Cloudflare it is a host of its own.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  security: [{ operatorSignature: [] }, {}],
  paths: {
    '/healthz': {
      get: { operationId: 'health', summary: 'The process runs', security: [], responses: { 200: text('ok') } },
    },
    '/readyz': {
      get: {
        operationId: 'ready',
        summary: 'A policy is being served; loads the first one when asked',
        responses: { 200: text('ready'), 401: unsigned, 503: problem },
      },
    },
    '/metrics': {
      get: {
        operationId: 'metrics',
        summary: 'Counters in Prometheus text format',
        responses: { 200: text('metrics'), 401: unsigned },
      },
    },
    '/v1/status': {
      get: {
        operationId: 'status',
        summary: 'What is being served',
        responses: { 200: json('status', 'Status'), 401: unsigned },
      },
    },
    '/v1/swap': {
      post: {
        operationId: 'swap',
        summary: 'Load a generation beside the one that serves, then make it current',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Manifest' } } },
        },
        responses: {
          200: json('swapped', 'Swapped'),
          400: { ...problem, description: 'Not a manifest; nothing changed' },
          401: unsigned,
          409: { ...problem, description: 'An image is missing or altered; the old generation goes on serving' },
          413: { ...problem, description: 'Manifest too large; nothing changed' },
          422: { ...problem, description: 'The engine refused an image; the old generation goes on serving' },
          501: { ...problem, description: 'On Cloudflare, where images are modules of the bundle; nothing changed' },
        },
      },
    },
    ...TUNNEL_PATHS,
    ...AGENT_PATHS,
    ...PAYMENT_PATHS,
    '/v1/drain': {
      post: {
        operationId: 'drain',
        summary: 'Tell the connectors of tunnels to go elsewhere, since this process is about to end',
        responses: {
          200: {
            description: 'How many sockets were told; their streams go on',
            content: {
              'application/json': { schema: { type: 'object', properties: { sockets: { type: 'integer' } } } },
            },
          },
          401: unsigned,
        },
      },
    },
    '/v1/openapi.json': {
      get: {
        operationId: 'openapi',
        summary: 'This description',
        responses: {
          200: { description: 'OpenAPI', content: { 'application/json': { schema: { type: 'object' } } } },
          401: unsigned,
        },
      },
    },
  },
  components: {
    securitySchemes: {
      operatorSignature: {
        type: 'apiKey',
        in: 'header',
        name: 'Signature',
        description:
          'On Cloudflare: an HTTP Message Signature (RFC 9421) by the operator key, Ed25519, with Signature-Input. ' +
          'Components: "@method" "@authority" "@path" "@query", and "content-digest" (sha-256) with a body, in this order. ' +
          'Parameters, each once: created (within 60 s of now), expires (at most 60 s after created), nonce (22 to 64 ' +
          'characters of base64url, used once), keyid (RFC 7638 thumbprint), alg="ed25519", tag="sallyport-control".',
      },
    },
    schemas: {
      Manifest: {
        type: 'object',
        required: ['generation', 'hosts', 'apps'],
        properties: {
          generation: { type: 'string', minLength: 1, maxLength: 200 },
          hosts: hash,
          agents: { oneOf: [hash, { type: 'null' }] },
          apps: {
            type: 'array',
            items: {
              type: 'object',
              required: ['name', 'image'],
              properties: { name: { type: 'string' }, image: hash },
            },
          },
        },
      },
      Swapped: {
        type: 'object',
        required: ['before', 'manifest'],
        properties: { before: { type: ['string', 'null'] }, manifest: { $ref: '#/components/schemas/Manifest' } },
      },
      Status: {
        type: 'object',
        required: ['platform', 'manifest', 'loadedAt', 'exchanges', 'swaps', 'draining', 'heldBytes', 'traps'],
        properties: {
          platform: { enum: ['workerd', 'cloudflare'] },
          manifest: { oneOf: [{ $ref: '#/components/schemas/Manifest' }, { type: 'null' }] },
          loadedAt: { type: ['string', 'null'], format: 'date-time' },
          exchanges: { type: 'integer' },
          swaps: { type: 'integer' },
          draining: { type: 'integer' },
          heldBytes: { type: 'integer' },
          traps: { type: 'integer' },
        },
      },
      Problem: {
        type: 'object',
        required: ['type', 'title', 'status', 'detail', 'requestId'],
        properties: {
          type: { type: 'string' },
          title: { type: 'string' },
          status: { type: 'integer' },
          detail: { type: 'string' },
          requestId: { type: 'string' },
        },
      },
    },
  },
};
