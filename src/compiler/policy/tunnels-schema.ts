/** The shape of `tunnels:`, and of a backend that is a tunnel. */
import { z } from 'zod';
import {
  MAX_TUNNEL_ADDRESSES,
  MAX_TUNNEL_CREDENTIALS,
  MAX_TUNNEL_NAMES,
  MAX_TUNNEL_PROJECTS,
  MAX_TUNNEL_REACH,
} from '../../../assembly/abi.ts';
import { cidr, expected, name, secret, text } from './primitives.ts';

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const tunnelError = expected(
  'must name a tunnel',
  'write it as `laptop`, `laptop/api` for its service `api`, or "*" for the one that the host names',
);
export const tunnel = z
  .string(tunnelError)
  .regex(new RegExp(`^(?:\\*|${LABEL}(?:/${LABEL})?)$`), tunnelError)
  .describe('In place of url: a tunnel, NAME or NAME/SERVICE, or * for the one that the host names (`tunnels.domain`)');

const labelError = expected('must be the name of a tunnel', 'use small letters, digits and -, at most 63');
const label = z.string(labelError).regex(new RegExp(`^${LABEL}$`), labelError);
const reachError = expected('must name a tunnel or a service', 'write it as `office`, `db.office`, `db.*` or "*"');
const reach = z.string(reachError).regex(new RegExp(`^(?:\\*|(?:${LABEL}\\.)?${LABEL}|${LABEL}\\.\\*)$`), reachError);
const edgeError = expected(
  'must be a host without port',
  'write it as `edge.example.com`, `192.0.2.1` or `[2001:db8::1]`',
);
const EDGE = /^(?=.{1,253}$)(?:[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*|\[[0-9A-Fa-f:.]+\])$/;
const keyError = expected('must be an Ed25519 public key', 'write the x of its JWK: 43 characters of base64url');
const userError = expected('must be a user name', 'use letters, digits, `.`, `_`, `@` and `-`, at most 64');

const access = z
  .enum(['public', 'restricted', 'private'])
  .describe('public: anybody; restricted: as `restricted` says; private: by `sallyport tunnel access` only');

const restricted = z.strictObject({
  addresses: z.array(cidr).min(1).max(MAX_TUNNEL_ADDRESSES).optional().describe('Clients from these addresses'),
  basic: z
    .record(z.string().regex(/^[A-Za-z0-9._@-]{1,64}$/, userError), secret)
    .refine((value) => Object.keys(value).length <= MAX_TUNNEL_CREDENTIALS, {
      error: `must have at most ${MAX_TUNNEL_CREDENTIALS} entries`,
    })
    .optional()
    .describe('Users and their passwords (Authorization: Basic)'),
  keys: z.array(secret).min(1).max(MAX_TUNNEL_CREDENTIALS).optional().describe('Keys (Authorization: Bearer)'),
});

const rule = {
  access: access.optional(),
  restricted: restricted.optional().describe('Every kind that is given must hold; of users and keys, one'),
};

export const tunnelsSchema = z.strictObject({
  domain: text
    .max(190)
    .optional()
    .describe(
      'Hosts are NAME.domain and SERVICE.NAME.domain, written as *.t.example.com. Default on-prem: *.localhost',
    ),
  ...rule,
  names: z
    .record(label, z.strictObject(rule))
    .refine((value) => Object.keys(value).length <= MAX_TUNNEL_NAMES, {
      error: `must have at most ${MAX_TUNNEL_NAMES} entries`,
    })
    .optional()
    .describe('What differs for a tunnel'),
  edges: z
    .array(z.string(edgeError).regex(EDGE, edgeError))
    .min(1)
    .max(MAX_TUNNEL_REACH)
    .optional()
    .describe('Hosts by which connectors dial this edge; a dial that was signed for another is refused. Default: any'),
  projects: z
    .record(name, z.string(keyError).regex(/^[A-Za-z0-9_-]{43}$/, keyError))
    .refine((value) => Object.keys(value).length <= MAX_TUNNEL_PROJECTS, {
      error: `must have at most ${MAX_TUNNEL_PROJECTS} entries`,
    })
    .optional()
    .describe('Public keys of other operators whose connectors may dial, by a name of yours'),
  networks: z
    .array(
      z.strictObject({
        from: z.array(reach).min(1).max(MAX_TUNNEL_REACH).describe('Tunnels whose connectors may reach; "*": any'),
        to: z.array(reach).min(1).max(MAX_TUNNEL_REACH).describe('office, db.office, db.* or "*"'),
      }),
    )
    .max(MAX_TUNNEL_REACH)
    .optional()
    .describe('Who may reach whom by `access` in this deployment. Default: what a capability allows, in its project'),
});

export type Tunnels = z.output<typeof tunnelsSchema>;
export type Restricted = z.output<typeof restricted>;
