/** Tunnels in the control API, described in OpenAPI 3.1; part of the description of a worker and of a deployment. A leaf. */
const problem = (description: string) => ({
  description,
  content: {
    'application/problem+json': {
      schema: { type: 'object', properties: { status: { type: 'integer' }, detail: { type: 'string' } } },
    },
  },
});
const json = (description: string, schema: object) => ({ description, content: { 'application/json': { schema } } });
const text = { type: 'string' };
const whole = { type: 'integer' };
const time = { type: 'integer', description: 'ms since the epoch' };
const label = { type: 'string', pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' };
const project = { type: 'string', description: 'thumbprint (RFC 7638) of the operator key of a project' };
const digests = { type: 'array', maxItems: 64, items: { type: 'string', description: 'SHA-256 as base64url' } };

const access = {
  type: ['object', 'null'],
  description: 'Who may use the tunnel by its host, beside what the policy says; null: no word',
  required: ['access', 'addresses', 'salt', 'basic', 'keys'],
  properties: {
    access: { enum: ['public', 'restricted', 'private'] },
    addresses: { type: 'array', maxItems: 256, items: text },
    salt: text,
    basic: digests,
    keys: digests,
  },
};
const sessions = { type: 'integer', minimum: 1, maximum: 64, description: 'objects that share the load of the tunnel' };
const tunnel = {
  type: 'object',
  required: ['name', 'created', 'origin', 'access', 'sessions', 'revoked'],
  properties: { name: label, created: time, origin: { enum: ['created', 'claimed'] }, access, sessions, revoked: time },
};
const word = { type: 'object', properties: { yes: { type: 'boolean' }, time } };
const offer = {
  type: 'object',
  properties: {
    ...{ owner: project, guest: project, tunnel: label, service: text, offered: word, accepted: word },
    holds: { type: 'boolean', description: 'both sides say yes' },
  },
};
const ended = json('done', { type: 'object', properties: { name: label, revoked: time, closed: whole } });
const body = (schema: object, required = true) => ({ required, content: { 'application/json': { schema } } });
const parameters = [{ name: 'name', in: 'path', required: true, schema: label }];
const refusals = {
  400: problem('Malformed; nothing changed'),
  404: problem('There is no such tunnel'),
  501: problem('This deployment holds no tunnels'),
  503: problem('No process is up'),
};

export const TUNNEL_PATHS = {
  '/v1/tunnels': {
    get: {
      operationId: 'listTunnels',
      summary: 'Tunnels of the project',
      responses: {
        200: json('tunnels', { type: 'object', properties: { project, tunnels: { type: 'array', items: tunnel } } }),
        501: refusals[501],
        503: refusals[503],
      },
    },
    post: {
      operationId: 'createTunnel',
      summary: 'Reserve a name, say who may enter',
      requestBody: body({ type: 'object', required: ['name'], properties: { name: label, access, sessions } }),
      responses: {
        201: json('created', tunnel),
        400: refusals[400],
        409: problem('It exists, or the name belongs to another project'),
        501: refusals[501],
        503: refusals[503],
        507: problem('The project has as many as it can have'),
      },
    },
  },
  '/v1/tunnels/{name}': {
    get: {
      operationId: 'readTunnel',
      summary: 'One tunnel, and what its sessions say of their connectors',
      parameters,
      responses: {
        200: json('tunnel', {
          type: 'object',
          properties: { ...tunnel.properties, status: { type: 'array', items: { type: 'object' } } },
        }),
        ...refusals,
      },
    },
    patch: {
      operationId: 'changeTunnel',
      summary: 'What is given replaces what was',
      parameters,
      requestBody: body({ type: 'object', properties: { access, sessions } }),
      responses: { 200: json('changed', tunnel), ...refusals },
    },
    delete: {
      operationId: 'deleteTunnel',
      summary: 'Close its sockets, revoke what was issued for it, give the name back',
      parameters,
      responses: { 200: ended, ...refusals },
    },
  },
  '/v1/tunnels/{name}/requests': {
    get: {
      operationId: 'watchTunnel',
      summary: 'Requests that ended since the last question; noted for 15 s after each question, and not otherwise',
      parameters: [
        ...parameters,
        {
          name: 'after',
          in: 'query',
          schema: text,
          description: 'what the last answer called next; absent: from now on',
        },
        {
          name: 'inspect',
          in: 'query',
          schema: { enum: ['1'] },
          description: 'with heads, and the first 16 KiB of bodies; values named like a secret are hidden',
        },
      ],
      responses: {
        200: json('requests', {
          type: 'object',
          required: ['requests', 'next', 'missed', 'open'],
          properties: {
            requests: { type: 'array', items: { type: 'object' } },
            next: text,
            missed: { type: 'integer', description: 'that ended too, and were not noted for want of room' },
            open: {
              type: 'array',
              items: { type: 'object' },
              description: 'WebSockets and TCP connections that were open at the first question, at most 256 a session',
            },
          },
        }),
        409: problem('The name belongs to another project'),
        ...refusals,
      },
    },
  },
  '/v1/tunnels/{name}/revoke': {
    post: {
      operationId: 'revokeTunnel',
      summary: 'Refuse capabilities issued up to now, and close their sockets with 4403',
      parameters,
      requestBody: body({ type: 'object', properties: { until: time } }, false),
      responses: { 200: ended, ...refusals },
    },
  },
  '/v1/offers': {
    get: {
      operationId: 'listOffers',
      summary: 'Services that the project offers to others',
      responses: {
        200: json('offers', { type: 'object', properties: { project, offers: { type: 'array', items: offer } } }),
        501: refusals[501],
        503: refusals[503],
      },
    },
    post: {
      operationId: 'speak',
      summary: 'A word of either side about an offer: a signed text, see src/tunnel/consent.ts',
      requestBody: body({ type: 'object', required: ['consent'], properties: { consent: text } }),
      responses: {
        200: json('heard', { type: 'object', properties: { ...offer.properties, closed: whole } }),
        400: refusals[400],
        403: problem('Not signed by the side that speaks, or not of a project of this edge'),
        404: problem('There is no such tunnel, or no such offer'),
        409: problem('A later word has been spoken'),
        501: refusals[501],
        503: refusals[503],
        507: problem('The project has as many as it can have'),
      },
    },
  },
} as const;
