/** The shape of `content`: what is said of the content of answers, to those who would use it. */
import { z } from 'zod';
import { expected } from './primitives.ts';

const urlError = expected('must be an absolute URL', 'write it as `https://example.com/license.xml`');
export const absoluteUrl = z
  .string(urlError)
  .max(2048)
  .regex(/^https?:\/\/[!-~]+$/, urlError)
  .refine((value) => URL.canParse(value) && !/[<>"\\^`{|}]/.test(value), urlError);

/** YAML of old times reads `yes` as true, and so do people. */
const yes = z.union([z.enum(['yes', 'no']), z.boolean()]);

export const signalSchema = z
  .strictObject({
    search: yes.optional().describe('Build an index that shows links and short excerpts'),
    'ai-input': yes.optional().describe('Give it to a model as input: grounding, generated answers'),
    'ai-train': yes.optional().describe('Train or fine-tune a model'),
  })
  .describe('Content-Signal; what is left out is neither allowed nor refused');

const labelError = expected('must be a label', 'use small letters, digits and -, beginning with a letter');
export const usageSchema = z
  .record(z.string().regex(/^[a-z*][a-z0-9_.*-]{0,63}$/, labelError), z.union([z.enum(['y', 'n']), yes]))
  .refine((labels) => Object.keys(labels).length <= 32, { error: 'must have at most 32 labels\nleave some out' })
  .describe('Content-Usage (AIPREF), by label: train-ai and search as of now');

export const contentSchema = z.strictObject({
  signal: signalSchema.optional(),
  usage: usageSchema.optional(),
  license: absoluteUrl.optional().describe('An RSL licence: a Link header with rel="license"'),
  tdm: z
    .strictObject({
      reservation: z.boolean().describe('Whether rights to text and data mining are reserved'),
      policy: absoluteUrl.optional().describe('Where the terms are'),
    })
    .optional()
    .describe('TDMRep headers: tdm-reservation, tdm-policy'),
  markdown: z.boolean().optional().describe('Give HTML as Markdown to who prefers text/markdown'),
});

export type ContentFields = z.output<typeof contentSchema>;
export type SignalFields = z.output<typeof signalSchema>;
export type UsageFields = z.output<typeof usageSchema>;
