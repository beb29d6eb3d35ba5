/** The shape of filters: what a route does to its requests and responses. */
import { z } from 'zod';
import { MAX_DIRECT_RESPONSE } from '../../../assembly/abi.ts';
import { duration, headerValue, METHODS, names, percent, port, text, token } from './primitives.ts';

const headerModifier = z.strictObject({
  set: z.record(token, headerValue).optional().describe('Replace the header, or add it'),
  add: z.record(token, headerValue).optional().describe('Add to what the header has'),
  remove: names.optional().describe('Remove the header'),
});

const pathReplacement = z
  .strictObject({
    replaceFullPath: z.string().max(1024).optional().describe('The new path, whatever the old one was'),
    replacePrefixMatch: z
      .string()
      .max(1024)
      .optional()
      .describe('What stands in place of the prefix that the route matched'),
  })
  .meta({ minProperties: 1, maxProperties: 1 });

const requestRedirect = z.strictObject({
  scheme: z.enum(['http', 'https']).optional().describe('Default: that of the request'),
  hostname: text.max(253).optional().describe('Default: that of the request'),
  port: port.optional().describe('Default: follows from scheme; else that of the request'),
  path: pathReplacement.optional().describe('The new path; default: that of the request'),
  statusCode: z
    .union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)])
    .default(302)
    .describe('301 and 308 are kept by browsers; 307 and 308 keep the method'),
});

const urlRewrite = z.strictObject({
  hostname: text.max(253).optional().describe('Host header towards the origin'),
  path: pathReplacement.optional().describe('The new path; default: that of the request'),
});

const requestMirror = z.strictObject({
  backend: text.describe('Gets a copy of the request; its answer is discarded'),
  percent: percent.optional().describe('Share of the requests, 0 to 100; default 100'),
  fraction: z
    .strictObject({
      numerator: z.number().int().min(0).describe('Requests of `denominator` that are copied'),
      denominator: z.number().int().min(1).default(100).describe('Out of so many requests'),
    })
    .optional()
    .describe('Share of the requests, in place of percent'),
});

const cors = z.strictObject({
  allowOrigins: z
    .array(text.max(253))
    .max(64)
    .default([])
    .describe('`*`, `https://app.example.com` or `https://*.example.com`'),
  allowMethods: z
    .array(z.enum([...METHODS, '*']))
    .max(METHODS.length)
    .default([])
    .describe('Beyond GET, HEAD and POST; `*` for any'),
  allowHeaders: z.array(token).max(64).default([]).describe('Request headers a script may send; `*` for any'),
  exposeHeaders: z.array(token).max(64).default([]).describe('Response headers a script may read'),
  maxAge: z
    .union([z.number().int().min(1).max(86_400), duration])
    .default('5s')
    .describe('How long a browser may keep the answer: seconds, or a duration'),
  allowCredentials: z.boolean().default(false).describe('Let browsers send cookies along'),
});

const directResponse = z.strictObject({
  status: z.number().int().min(200).max(599).default(200).describe('Status of the answer'),
  body: z.string().max(MAX_DIRECT_RESPONSE).default('').describe('Text of the answer'),
  contentType: text.max(256).default('text/plain; charset=utf-8').describe('Media type of the answer'),
});

export const filter = z
  .strictObject({
    requestHeaderModifier: headerModifier.optional().describe('Change headers of the request on its way to the origin'),
    responseHeaderModifier: headerModifier.optional().describe('Change headers of the response'),
    requestRedirect: requestRedirect.optional().describe('Answer with a redirect'),
    urlRewrite: urlRewrite.optional().describe('Change host or path on the way to the origin'),
    requestMirror: requestMirror.optional().describe('Send a copy to another backend'),
    cors: cors.optional().describe('Answer cross-origin requests'),
    directResponse: directResponse.optional().describe('Answer without an origin'),
  })
  .meta({ minProperties: 1, maxProperties: 1 });

export type Filter = z.output<typeof filter>;
export type HeaderModifier = z.output<typeof headerModifier>;
export type PathReplacementInput = z.output<typeof pathReplacement>;
