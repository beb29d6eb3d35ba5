/** What the descriptions of the control API have in common, in OpenAPI 3.1. */
export const problem = {
  description: 'Problem details (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
export const unsigned = { ...problem, description: 'On Cloudflare: not signed by the operator, or signed wrongly' };
export const count = { type: 'integer', minimum: 0 };
export const text = { type: 'string' };
export const object = (properties: Record<string, unknown>) => ({
  type: 'object',
  required: Object.keys(properties),
  properties,
});
export const list = (items: unknown) => ({ type: 'array', items });
export const content = (schema: unknown) => ({ 'application/json': { schema } });
