/**
 * `POST /access/v1/evaluation` and `/access/v1/evaluations`: what would be decided. Advice only: nothing is charged, recorded
 * or used up, and no answer of these is a right to run anything.
 *
 *     { "decision": true }
 *     { "decision": false, "context": { "countersign": { "effect": "require_approval", "reason_code": "REFUND_OVER_LIMIT",
 *       "approval_id": "..." }, "reason_user": { "en": "over 500" } } }
 *
 * @see OpenID AuthZEN Authorization API 1.0, sections 6 and 7
 */
import type { Guard, Preview } from '@countersign/core';
import * as z from 'zod';
import { jsonResponse } from '../http/inbound.ts';
import type { Client } from './clients.ts';
import { refuse } from './codes.ts';
import { jsonBody, shaped } from './json-body.ts';
import { readEvaluation, toolCall } from './tool-request.ts';

/** In one request. */
export const MAX_EVALUATIONS = 100;

const SEMANTICS = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit'] as const;
type Semantic = (typeof SEMANTICS)[number];

/** Entities are read one by one: what an entry lacks is taken from the top. */
const batch = z.object({
  subject: z.unknown().optional(),
  action: z.unknown().optional(),
  resource: z.unknown().optional(),
  context: z.unknown().optional(),
  evaluations: z.array(z.unknown()).optional(),
  options: z.object({ evaluations_semantic: z.enum(SEMANTICS).optional() }).optional(),
});

interface Evaluated {
  readonly decision: boolean;
  readonly context?: object;
}

export async function evaluation(request: Request, client: Client, guard: Guard): Promise<Response> {
  const body = await jsonBody(request);
  if (body instanceof Response) return body;
  const evaluated = await evaluate(body.value, client, guard);
  return evaluated instanceof Response ? evaluated : jsonResponse(200, evaluated);
}

export async function evaluations(request: Request, client: Client, guard: Guard): Promise<Response> {
  const body = await jsonBody(request);
  if (body instanceof Response) return body;
  const parsed = shaped(body.value, batch);
  if (parsed instanceof Response) return parsed;
  const { evaluations: entries = [], options, ...defaults } = parsed;
  if (entries.length > MAX_EVALUATIONS) return refuse('EVALUATIONS_TOO_MANY', `one request has at most ${MAX_EVALUATIONS} evaluations`);
  // Section 7.1: without entries it is the request for one evaluation, and so is its answer.
  if (entries.length === 0) {
    const evaluated = await evaluate(body.value, client, guard);
    return evaluated instanceof Response ? evaluated : jsonResponse(200, evaluated);
  }
  const one = async (entry: unknown): Promise<Evaluated> => inBatch(await evaluate(withDefaults(entry, defaults), client, guard));
  return jsonResponse(200, { evaluations: await inOrder(entries, options?.evaluations_semantic ?? 'execute_all', one) });
}

/** One after the other also where all are wanted: one request does not take the whole process. */
async function inOrder(
  entries: readonly unknown[],
  semantic: Semantic,
  one: (entry: unknown) => Promise<Evaluated>,
): Promise<readonly Evaluated[]> {
  const done: Evaluated[] = [];
  for (const entry of entries) {
    const evaluated = await one(entry);
    done.push(evaluated);
    if (semantic === 'deny_on_first_deny' && !evaluated.decision) break;
    if (semantic === 'permit_on_first_permit' && evaluated.decision) break;
  }
  return done;
}

async function evaluate(value: unknown, client: Client, guard: Guard): Promise<Evaluated | Response> {
  const parsed = readEvaluation(value);
  if (parsed instanceof Response) return parsed;
  const call = toolCall(parsed, client);
  return call instanceof Response ? call : answerOf(await guard.preview(call));
}

function answerOf({ decision, approvalId, approvalState }: Preview): Evaluated {
  const { effect, reasonCode, reason } = decision;
  if (effect === 'allow') return { decision: true };
  const isWaiting = approvalState === 'pending' || approvalState === 'approved';
  const countersign = {
    effect,
    reason_code: reasonCode,
    ...(effect === 'require_approval' && isWaiting && approvalId !== undefined && { approval_id: approvalId }),
  };
  return { decision: false, context: { countersign, ...(reason !== undefined && { reason_user: { en: reason } }) } };
}

/** An entry is an object; what it names itself counts, whole. */
function withDefaults(entry: unknown, defaults: object): unknown {
  return typeof entry === 'object' && entry !== null && !Array.isArray(entry) ? { ...defaults, ...entry } : entry;
}

/** Section 7.2.1: what is wrong with one entry is a denial of that one. */
async function inBatch(evaluated: Evaluated | Response): Promise<Evaluated> {
  if (!(evaluated instanceof Response)) return evaluated;
  const { error } = (await evaluated.json()) as { readonly error: { readonly code: string; readonly message: string } };
  return { decision: false, context: { error: { status: evaluated.status, ...error } } };
}
