/** The shape of `countersign.yaml`. Strict everywhere: a key we do not know is an error, never ignored. */

import * as z from 'zod';
import { MIN_AUDIT_BYTES } from '../audit-log/file-sink.ts';
import { AUDIT_INCLUDES, type AuditInclude } from '../audit-log/record.ts';
import { MAX_KEEP } from '../audit-log/segments.ts';
import { BUDGET_SCOPES, type BudgetDefinition, MAX_BUDGETS, REFUNDS } from '../budget/budget.ts';
import type { Mode } from '../call.ts';
import { type DetectorDefinition, MAX_CUSTOM_DETECTORS, MAX_KEYWORDS } from '../redact/custom.ts';
import { WRITERS } from '../store.ts';
import { OID_SHAPE } from '../timestamp/der.ts';
import { type ChannelDocument, channelSchema, MAX_CHANNELS, type SenderDocument, sendersSchema } from './channel-schema.ts';
import { type ServeDocument, serveSchema } from './decision-point-schema.ts';
import { type McpDocument, mcpSchema } from './mcp-schema.ts';
import { type MonitorDocument, monitorSchema } from './monitor-schema.ts';
import { type PolicyDocument, policySchema } from './policy-schema.ts';
import { type RootsDocument, rootsSchema } from './roots-schema.ts';
import { type ScopeDocument, scopeSchema } from './scope-schema.ts';
import { type ServerDocument, serversSchema } from './servers-schema.ts';

/** What the YAML text says, before defaults and names are worked out. */
export type AnchorDocument =
  | { readonly file: string }
  | { readonly command: readonly string[] }
  | { readonly witness: { readonly url: string; readonly vkey: string; readonly allow_insecure?: boolean | undefined } }
  | { readonly rfc3161: TimestampDocument };

export interface TimestampDocument {
  readonly url: string;
  readonly certificates: string;
  readonly policy?: string | undefined;
  readonly allow_insecure?: boolean | undefined;
}

export interface ConfigDocument {
  readonly version: 1;
  readonly agent: string;
  readonly mode?: Mode | undefined;
  readonly policy: PolicyDocument;
  readonly budgets?: readonly BudgetDefinition[] | undefined;
  readonly approvals?:
    | {
        readonly channels?: readonly ChannelDocument[] | undefined;
        readonly senders?: Readonly<Record<string, SenderDocument>> | undefined;
        readonly page?: { readonly port?: number | undefined } | undefined;
        readonly ttl?: string | undefined;
        readonly max_ttl?: string | undefined;
        readonly max_grant_ttl?: string | undefined;
      }
    | undefined;
  readonly approvers?: Readonly<Record<string, { readonly key: string }>> | undefined;
  readonly redaction?:
    | {
        readonly keys?: readonly string[] | undefined;
        readonly values?: readonly string[] | undefined;
        readonly detectors?: readonly DetectorDefinition[] | undefined;
        readonly results?: boolean | undefined;
      }
    | undefined;
  readonly ledger?:
    | {
        readonly path?: string | undefined;
        readonly key?: string | undefined;
        readonly origin?: string | undefined;
        readonly sign?: (typeof SIGNINGS)[number] | undefined;
        readonly sign_interval?: string | undefined;
        readonly sign_max_lag?: string | undefined;
        readonly writer?: (typeof WRITERS)[number] | undefined;
        readonly anchors?: readonly AnchorDocument[] | undefined;
        readonly anchor_interval?: string | undefined;
        readonly anchor_required?: { readonly n?: number | undefined; readonly max_age: string } | undefined;
        readonly audit_log?: AuditLogDocument | undefined;
        readonly mirror?: string | undefined;
      }
    | undefined;
  readonly scope?: ScopeDocument | undefined;
  readonly monitor?: MonitorDocument | undefined;
  readonly serve?: ServeDocument | undefined;
  readonly roots?: RootsDocument | undefined;
  readonly mcp?: McpDocument | undefined;
  readonly servers?: Readonly<Record<string, ServerDocument>> | undefined;
}

/** The `ledger.audit_log:` block as written. */
export interface AuditLogDocument {
  readonly path: string;
  readonly max_bytes?: number | undefined;
  readonly keep?: number | undefined;
  readonly include?: readonly AuditInclude[] | undefined;
  readonly required?: boolean | undefined;
}

export const MODES = ['audit', 'confirm', 'enforce'] as const;
export const SIGNINGS = ['commit', 'interval', 'none'] as const;
/** Names of agents: they become part of the ledger's origin and of every entry. */
export const AGENT_SHAPE: RegExp = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
/** Schema-less URL style name, as C2SP notes allow: no spaces, no plus. */
export const ORIGIN_SHAPE: RegExp = /^[^\s+\p{C}]{1,255}$/u;
/** C2SP verifier line: name, key id, base64 of type and key. */
const VERIFIER_SHAPE = /^[^\s+\p{C}]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/u;
const MAX_LIST = 1000;

const text = z.string().min(1).max(4096);
const texts = z.array(text).max(MAX_LIST);
const duration = z.string().describe('one whole number and a unit: 500ms, 30s, 5m, 1h, 7d');
const budget = z.strictObject({
  id: z.string(),
  per: z.enum(BUDGET_SCOPES).optional(),
  key: z.string().optional().describe('in place of per: CEL text of the call, such as args.customer; only a MAC of it is recorded'),
  limit: z.number().describe('calls, or units of cost'),
  window: duration.optional().describe('sliding window; for life when absent'),
  tools: z.array(z.string()).optional(),
  cost: z.string().optional().describe('CEL amount of the call; every call costs 1 when absent'),
  refund: z.enum(REFUNDS).optional().describe('error: a call whose outcome is an error gets back what it was charged'),
});

/** The `budgets:` block alone. */
export const budgetsSchema: z.ZodType<readonly BudgetDefinition[]> = z.array(budget).max(MAX_BUDGETS);

const witness = z.strictObject({
  witness: z
    .strictObject({
      url: text.describe('submission prefix, https; without /add-checkpoint'),
      vkey: z.string().regex(VERIFIER_SHAPE, "a witness's verifier line is name+keyid+base64"),
      allow_insecure: z.boolean().optional().describe('plain http to other hosts'),
    })
    .describe('a C2SP witness (c2sp.org/tlog-witness)'),
});

const timestamp = z.strictObject({
  rfc3161: z
    .strictObject({
      url: text.describe('where requests are posted, https'),
      certificates: text.describe('file of PEM certificates: of the authority, or of who vouches for it'),
      policy: z.string().regex(OID_SHAPE, 'an object identifier is numbers with dots: 1.2.3').optional(),
      allow_insecure: z.boolean().optional().describe('plain http to other hosts'),
    })
    .describe('an RFC 3161 timestamp authority'),
});

export const configSchema: z.ZodType<ConfigDocument> = z.strictObject({
  version: z.literal(1),
  agent: z.string().regex(AGENT_SHAPE, 'use letters, digits and . _ : @ -, at most 128 characters'),
  mode: z.enum(MODES).optional(),
  policy: policySchema,
  budgets: budgetsSchema.optional(),
  approvals: z
    .strictObject({
      channels: z.array(channelSchema).max(MAX_CHANNELS).optional().describe('where humans are asked'),
      senders: sendersSchema.optional().describe('who may send answers as signed webhooks to the console, by name'),
      page: z
        .strictObject({ port: z.int().min(1).max(65_535).optional().describe('where `countersign console` listens; 4680 when absent') })
        .optional(),
      ttl: duration.optional().describe('how long an approval waits; 5m when absent'),
      max_ttl: duration.optional().describe('no rule may ask for longer; 1h when absent'),
      max_grant_ttl: duration.optional().describe('no grant may last longer; 24h when absent'),
    })
    .optional(),
  approvers: z
    .record(
      z.string(),
      z.strictObject({ key: z.string().regex(VERIFIER_SHAPE, 'a verifier line is name+keyid+base64, as printed by `countersign keygen`') }),
    )
    .optional(),
  redaction: z
    .strictObject({
      keys: texts.optional(),
      values: texts.optional(),
      detectors: z
        .array(
          z.strictObject({
            kind: z.string().describe('goes into [redacted:kind]: lower-case letters, digits and hyphens'),
            pattern: z.string().describe("regular expression in RE2's syntax: linear time, no lookaround, no backreferences"),
            group: z.int().min(0).optional().describe('the group that is the secret; the whole match when absent'),
            keywords: z
              .array(z.string())
              .max(MAX_KEYWORDS)
              .optional()
              .describe('one of these must stand in the text; makes it much faster'),
          }),
        )
        .max(MAX_CUSTOM_DETECTORS)
        .optional()
        .describe('shapes of secrets of your own'),
      results: z.boolean().optional().describe('secrets in what tools return are replaced before the model sees it; false when absent'),
    })
    .optional()
    .describe('on top of the built-in detectors'),
  ledger: z
    .strictObject({
      path: text.optional(),
      key: text.optional(),
      origin: z.string().regex(ORIGIN_SHAPE, 'an origin has no spaces and no plus, such as example.com/billing').optional(),
      sign: z.enum(SIGNINGS).optional(),
      sign_interval: duration.optional().describe('with sign: interval, at most one signature in this time; 1s when absent'),
      sign_max_lag: duration.optional().describe('with sign: interval, calls are refused while an entry waits longer for its signature'),
      writer: z
        .enum(WRITERS)
        .optional()
        .describe('where commits are made: on the main thread, on a thread of its own, or first here, then there'),
      anchors: z
        .array(z.union([z.strictObject({ file: text }), z.strictObject({ command: z.array(text).min(1).max(64) }), witness, timestamp]))
        .max(16)
        .optional(),
      anchor_interval: duration.optional().describe('at most one copy to each anchor in this time; 1m when absent'),
      anchor_required: z
        .strictObject({ n: z.int().min(1).max(16).optional(), max_age: duration })
        .optional()
        .describe('refuse calls while entries wait longer than max_age for copies at n anchors (1 when absent)'),
      audit_log: z
        .strictObject({
          path: text,
          max_bytes: z.int().min(MIN_AUDIT_BYTES).optional().describe('a file that would grow past it is rotated; 16777216 when absent'),
          keep: z.int().min(0).max(MAX_KEEP).optional().describe('older files that are kept; 5 when absent'),
          include: z.array(z.enum(AUDIT_INCLUDES)).max(2).optional().describe('clear text, as the policy saw it; none when absent'),
          required: z.boolean().optional().describe('refuse calls whose decision it did not take'),
        })
        .optional()
        .describe('JSON lines for grep and log shippers; not evidence'),
      mirror: text.optional().describe('a file that follows the ledger as JSON lines; its checkpoint lies beside it'),
    })
    .optional(),
  scope: scopeSchema.optional(),
  monitor: monitorSchema.optional(),
  serve: serveSchema.optional(),
  roots: rootsSchema.optional(),
  mcp: mcpSchema.optional(),
  servers: serversSchema.optional(),
});
