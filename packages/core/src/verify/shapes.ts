/**
 * The shape of each kind of entry, as strict schemas: what a verifier accepts, and `docs/formats/entry.md` describes.
 *
 * Kinds of the closed list that no version has written yet have no schema; of them only the stamp is checked.
 */
import { z } from 'zod';
import { type Json, OUTCOME_STATUSES, RESULT_ACTIONS } from '../call.ts';
import { ENTRY_VERSION, type Entry, type EntryKind, type EntryStamp, type Newest, PIN_FLAGS } from '../ledger/entry.ts';

export type ForgetEntry = { readonly kind: 'forget'; readonly entries: readonly { readonly of: number; readonly leaf: string }[] };

/** What history asks of the fields that every entry has. */
export type Stamp = Pick<EntryStamp, 'at' | 'writer'> & { readonly newest?: Newest | undefined };

export type ShapeVerdict =
  | { readonly kind: 'known'; readonly entry: Entry; readonly unknownFields: string | undefined }
  | {
      readonly kind: 'forget';
      readonly entry: ForgetEntry & EntryStamp;
      readonly unknownFields: string | undefined;
    }
  /** The stamp is right, the kind is not one this version checks. */
  | { readonly kind: 'unchecked'; readonly name: string; readonly stamp: Stamp }
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'malformed'; readonly why: string };

const MAX_SHOWN_CHARS = 60;
const MAX_SHOWN_ISSUES = 3;

const text = z.string().min(1);
const count = z.int().nonnegative();
const id = z.string().regex(/^[0-9a-f]{32}$/);
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const ref = z.strictObject({ of: count, leaf: hash });
const names = z.array(text);
const policy = z.strictObject({ id: text, version: z.string().optional(), hash });

const newest = z.strictObject({ halt: ref.optional(), pin: ref.optional(), labelled: z.array(ref).max(1).optional() });
const labelled = z.strictObject({ all: names.min(1), others: z.array(z.tuple([z.int().min(0).max(255), count])) });
const stamp = { v: z.literal(ENTRY_VERSION), id, at: count, writer: id, newest: newest.optional() };
const stampShape = z.object({ ...stamp, kind: text });
const effect = z.enum(['allow', 'deny', 'require_approval']);
const assurance = z.enum(['high', 'medium', 'low']);

const charge = z.strictObject({
  id: text,
  per: z.enum(['agent', 'tool', 'session', 'principal', 'key']),
  key: text,
  cost: count,
  limit: count,
  window_ms: z.int().positive().optional(),
  left: z.int(),
});

const refund = z.strictObject({ id: text, key: text, cost: z.int().positive() });
const tool = z.strictObject({ server: text.optional(), name: text, schema: text.optional() });
const approver = z.strictObject({
  id: text,
  method: z.enum(['key', 'terminal', 'host', 'elicitation', 'page', 'webhook']),
  assurance,
});
const grant = {
  ...stamp,
  kind: z.literal('grant'),
  grant: id,
  agent: text,
  session: text.optional(),
  approver,
  signature: text.optional(),
};

const pin = { ...stamp, kind: z.literal('pin'), agent: text, server: text.optional() };
const offered = z.strictObject({
  ...pin,
  pins: z
    .array(
      z.strictObject({
        name: text,
        digest: hash,
        flags: z.array(z.enum(PIN_FLAGS)).min(1).optional(),
        redacted: z.literal(true).optional(),
      }),
    )
    .min(1),
  declarations_commit: hash,
  before: ref.optional(),
  event: z.enum(['first', 'changed']),
});
const pinAnswer = z.strictObject({
  ...pin,
  pins: z.array(z.strictObject({ name: text, digest: hash, entry: ref })).min(1),
  approver,
  signature: text.optional(),
  before: ref,
  event: z.enum(['accepted', 'revoked']),
});

const SHAPES = new Map<string, z.ZodType>(
  Object.entries({
    decision: z.strictObject({
      ...stamp,
      kind: z.literal('decision'),
      agent: text,
      session: text,
      call: id,
      principal: text.optional(),
      tool,
      attempt: z.int().positive().optional(),
      mode: z.enum(['audit', 'confirm', 'enforce']),
      effect,
      would: effect,
      reason_code: text,
      rule: text.optional(),
      policy,
      args_commit: hash.optional(),
      reason_commit: hash.optional(),
      facts_commit: hash.optional(),
      redacted: names.optional(),
      labels: names.optional(),
      labelled: labelled.optional(),
      session_labels: names.optional(),
      budgets: z.array(charge).optional(),
      approval: z
        .strictObject({
          id,
          expires_at: count.optional(),
          quorum: z.int().positive().optional(),
          approvers: names.optional(),
          assurance: assurance.optional(),
          ask: ref.optional(),
          answers: z.array(ref).optional(),
        })
        .optional(),
      edited: z.strictObject({ call: id, answer: ref }).optional(),
      binds: hash.optional(),
      grant: z.strictObject({ id, entry: ref, use: z.int().positive() }).optional(),
    }),
    grant: z.discriminatedUnion('event', [
      z.strictObject({
        ...grant,
        event: z.literal('granted'),
        principal: text.optional(),
        tool,
        rule: text.optional(),
        policy,
        uses: z.int().positive(),
        expires_at: count,
        approval: z.strictObject({ id, answer: ref }),
        reason_commit: hash,
        when_commit: hash.optional(),
      }),
      z.strictObject({ ...grant, event: z.literal('revoked'), entry: ref, message_commit: hash.optional() }),
    ]),
    approval: z.strictObject({
      ...stamp,
      kind: z.literal('approval'),
      agent: text,
      session: text,
      call: id,
      approval: id,
      ask: ref,
      answer: z.enum(['approve', 'deny']),
      approver,
      binds: hash,
      expires_at: count,
      args_commit: hash.optional(),
      message_commit: hash.optional(),
      signature: text.optional(),
    }),
    outcome: z.strictObject({
      ...stamp,
      kind: z.literal('outcome'),
      agent: text,
      session: text,
      call: id,
      decision: ref,
      status: z.enum(OUTCOME_STATUSES),
      error_type: z.string().optional(),
      duration_ms: count,
      result_commit: hash.optional(),
      error_commit: hash.optional(),
      labels: names.optional(),
      labelled: labelled.optional(),
      released: z
        .strictObject({
          action: z.enum(RESULT_ACTIONS),
          would: z.enum(RESULT_ACTIONS).optional(),
          rule: text.optional(),
          reason_code: text.optional(),
        })
        .optional(),
      resources: z
        .strictObject({
          cpu_ms: z.number().optional(),
          rss_bytes: z.number().optional(),
          samples: count,
          scope: z.enum(['process', 'tree']),
        })
        .optional(),
      refunds: z.array(refund).optional(),
    }),
    session: z.strictObject({
      ...stamp,
      kind: z.literal('session'),
      agent: text,
      session: text,
      event: z.enum(['start', 'end', 'labels', 'coverage', 'halted', 'resumed']),
      labels: names.optional(),
      labelled: labelled.optional(),
      coverage: text.optional(),
      reason_code: text.optional(),
      scope: z.literal('ledger').optional(),
      incident: text.optional(),
      halt: ref.optional(),
      approval: z.strictObject({ id, decision: ref }).optional(),
      approver: approver.optional(),
      message_commit: hash.optional(),
      signature: text.optional(),
      before: ref.optional(),
    }),
    verdict: z.strictObject({
      ...stamp,
      kind: z.literal('verdict'),
      agent: text,
      session: text,
      call: id.optional(),
      candidates: z.array(id).min(1).optional(),
      level: z.enum(['FLAG', 'HALT', 'KILL']),
      enforced: z.enum(['FLAG', 'HALT', 'KILL']),
      mode: z.enum(['audit_only', 'flag_and_hold', 'enforce_kill']),
      rule: text,
      evaluator: z.enum(['rules', 'intent', 'judge']),
      confidence: z.number().min(0).max(1),
      incident: text.optional(),
      phase: z.enum(['before', 'after']),
      activity_commit: hash,
    }),
    containment: z.strictObject({
      ...stamp,
      kind: z.literal('containment'),
      agent: text,
      session: text,
      incident: text,
      event: z.enum(['frozen', 'resumed', 'denied', 'killed', 'overridden', 'quarantined', 'restored', 'failed']),
      verdict: ref.optional(),
      grade: z.enum(['signal', 'gate', 'cgroup']).optional(),
      count: count.optional(),
      refused: count.optional(),
      left: count.optional(),
      duration_ms: count.optional(),
      approval: z.strictObject({ id, decision: ref }).optional(),
      reason_code: text.optional(),
      details_commit: hash.optional(),
    }),
    policy: z.strictObject({ ...stamp, kind: z.literal('policy'), policy, document: z.string() }),
    key: z.strictObject({ ...stamp, kind: z.literal('key'), event: z.enum(['first', 'rotated']), vkey: text, from: count }),
    recovery: z.strictObject({
      ...stamp,
      kind: z.literal('recovery'),
      event: z.enum(['open-decisions', 'reopened', 'mirror-tail-cut', 'unsigned-tail']),
      of_writer: id.optional(),
      open: z.array(ref).optional(),
      kept_entries: count.optional(),
      cut_bytes: count.optional(),
      from: count.optional(),
      to: count.optional(),
      before: ref.optional(),
      reason_code: text.optional(),
    }),
    forget: z.strictObject({ ...stamp, kind: z.literal('forget'), entries: z.array(ref), reason_code: text.optional() }),
    pin: z.discriminatedUnion('event', [offered, pinAnswer]),
    note: z.strictObject({ ...stamp, kind: z.literal('note'), topic: text, data: z.unknown() }),
  } satisfies Partial<Record<EntryKind, z.ZodType>>),
);

/** @param value - a parsed body; from anyone. */
export function readShape(value: Json): ShapeVerdict {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { kind: 'malformed', why: 'it is not an object' };
  const { kind, v } = value as { readonly [key: string]: Json };
  if (typeof v === 'number' && v !== ENTRY_VERSION) return { kind: 'version', version: String(v) };
  const shape = typeof kind === 'string' ? SHAPES.get(kind) : undefined;
  if (shape === undefined) {
    const stamped = stampShape.safeParse(value);
    if (!stamped.success) return { kind: 'malformed', why: describe(stamped.error.issues) };
    // What was parsed is the value itself, in which what is optional is there or is not.
    return { kind: 'unchecked', name: printable(stamped.data.kind), stamp: stamped.data as Stamp };
  }
  const parsed = shape.safeParse(value);
  const unknownFields = parsed.success ? undefined : unknownOnly(parsed.error.issues);
  if (!parsed.success && unknownFields === undefined) return { kind: 'malformed', why: describe(parsed.error.issues) };
  // What was parsed is the value itself: the schemas transform nothing.
  if (kind === 'forget') return { kind: 'forget', entry: value as unknown as ForgetEntry & Entry, unknownFields };
  return { kind: 'known', entry: value as unknown as Entry, unknownFields };
}

/** A later version may add fields; when that is all there is, they are named and the rest is checked. */
function unknownOnly(issues: readonly z.core.$ZodIssue[]): string | undefined {
  const names: string[] = [];
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') return undefined;
    names.push(...issue.keys.map((key) => [...issue.path.map(String), key].join('.')));
  }
  return names.slice(0, MAX_SHOWN_ISSUES).map(printable).join(', ');
}

function describe(issues: readonly z.core.$ZodIssue[]): string {
  return issues
    .slice(0, MAX_SHOWN_ISSUES)
    .map((issue) => (issue.path.length === 0 ? issue.message : `${printable(issue.path.map(String).join('.'))}: ${issue.message}`))
    .map((line) => printable(line, 200))
    .join('; ');
}

/** Names in a ledger are whatever its writer liked: no control characters, bounded. */
export function printable(name: string, limit: number = MAX_SHOWN_CHARS): string {
  const clean = name.toWellFormed().replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
  return clean.length > limit ? `${clean.slice(0, limit).toWellFormed()}...` : clean;
}
