/** The shape of `policy.authzen`, a decision point that is asked, and of `serve`, the decision point that we are. */
import * as z from 'zod';
import { type SecretDocument, type SecretsDocument, secretSchema, secretsSchema } from './secret.ts';

export interface AuthzenDocument {
  readonly url: string;
  readonly id?: string | undefined;
  readonly version?: string | undefined;
  readonly token?: SecretDocument | undefined;
  readonly timeout?: string | undefined;
  readonly allow_insecure?: boolean | undefined;
}

export interface ServeDocument {
  readonly port?: number | undefined;
  readonly socket?: string | undefined;
  readonly clients?: readonly ServeClientDocument[] | undefined;
}

export interface ServeClientDocument {
  readonly agent: string;
  readonly token: SecretsDocument;
  readonly sessions?: readonly string[] | undefined;
}

export const MAX_CLIENTS = 256;
const MAX_SESSIONS = 1000;
/** What `authzenPolicy` takes. */
const POLICY_LABEL = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;
const LABEL_HINT = '1 to 128 printable ASCII characters';

export const authzenSchema: z.ZodType<AuthzenDocument> = z
  .strictObject({
    url: z
      .string()
      .min(1)
      .max(2048)
      .describe('base URL, without /access/v1/evaluation; https, or http to loopback. It is recorded: no secret in it'),
    id: z.string().regex(POLICY_LABEL, LABEL_HINT).optional().describe('name of the policy in decisions; authzen when absent'),
    version: z.string().regex(POLICY_LABEL, LABEL_HINT).optional().describe('of the rules behind the URL, if you track it; recorded'),
    token: secretSchema.optional().describe('bearer token for the decision point'),
    timeout: z.string().optional().describe('for one evaluation, its retry included; 2s when absent, at most 60s'),
    allow_insecure: z.boolean().optional().describe('plain http to other hosts'),
  })
  .describe('a decision point that is asked about every call besides the rules (OpenID AuthZEN 1.0)');

export const serveSchema: z.ZodType<ServeDocument> = z
  .strictObject({
    port: z.int().min(1).max(65_535).optional().describe('of 127.0.0.1; needs clients with tokens. None when absent'),
    socket: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe('unix socket in a folder of its own, mode 700; .countersign/serve/decide.sock when neither is given'),
    clients: z
      .array(
        z.strictObject({
          agent: z.string().describe('who this client is: its calls are decided and recorded as those of this agent'),
          token: secretsSchema.describe('bearer token, at least 32 characters; several while one is being replaced'),
          sessions: z
            .array(z.string().min(1).max(256))
            .min(1)
            .max(MAX_SESSIONS)
            .optional()
            .describe('names of the only sessions it may use, as they stand; when absent any, each recorded as agent/name'),
        }),
      )
      .max(MAX_CLIENTS)
      .optional()
      .describe('who may ask with a token'),
  })
  .describe('the decision point that `countersign serve` offers to other programs');
