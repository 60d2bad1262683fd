/** A decision point that lives as long as the test, and a client of it. */
import { createGuard, createRedactor, type GuardOptions, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { onTestFinished } from 'vitest';
import type { DecisionPointEvent } from '../../src/decision-point/decision-point.ts';
import { type ServedDecisions, type ServedDecisionsOptions, serveDecisions } from '../../src/decision-point/serve-decisions.ts';

export const ANA = 'ana-bot';
export const BOB = 'bob-bot';
export const TOKENS: Readonly<Record<string, string>> = { [ANA]: 'a'.repeat(40), [BOB]: 'b'.repeat(40) };

export const RULES = rulePolicy({
  id: 'p',
  rules: [
    { id: 'reads', tools: ['read', 'files/read'], effect: 'allow' },
    { id: 'web', tools: ['web'], effect: 'allow', label: ['untrusted'] },
    { id: 'asks', tools: ['refund'], effect: 'require_approval', reason: 'over 500', reason_code: 'REFUND_OVER_LIMIT' },
    { id: 'asks-after-web', tools: ['mail'], when: "'untrusted' in session.labels", effect: 'require_approval' },
    { id: 'mails', tools: ['mail'], effect: 'allow' },
  ],
});

/** What one answer or another holds; a test looks at what it expects. */
export interface Body {
  readonly decision: boolean;
  readonly context: { readonly countersign: object };
  readonly evaluations: readonly { readonly decision: boolean }[];
  readonly kind: string;
  readonly call: string;
  readonly permit_token: string;
  readonly approval_id: string;
  readonly reason_code: string;
  readonly entry: { readonly of: number; readonly leaf: string };
  readonly result: { readonly text: string };
  readonly error: { readonly code: string; readonly message: string };
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Point {
  readonly served: ServedDecisions;
  readonly store: ReturnType<typeof memoryStore>;
  readonly events: DecisionPointEvent[];
  readonly errors: unknown[];
  readonly url: string;
  /** How many waits for a person are over, whoever ended them. */
  readonly waitsEnded: () => number;
  /** Posts as Ana unless another token (or none: `''`) is given. */
  readonly post: (path: string, body: unknown, more?: PostOptions) => Promise<Answered>;
  /** Answers a pending approval as Carol, a person. */
  readonly answer: (id: string, decision?: 'approve' | 'deny') => Promise<void>;
}

export interface PostOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly method?: string;
}

export type PointOptions = Partial<ServedDecisionsOptions> & { readonly guard?: Partial<GuardOptions> };

export async function point({ guard = {}, ...options }: PointOptions = {}): Promise<Point> {
  const store = memoryStore();
  const events: DecisionPointEvent[] = [];
  const errors: unknown[] = [];
  const guardOf = (agent: string) =>
    createGuard({ agent, policy: RULES, store, redactor: createRedactor(), onError: (error) => errors.push(error), ...guard });
  let ended = 0;
  const approvalSettled = async (id: string, signal: AbortSignal): Promise<void> => {
    await store.approvalSettled(id, signal);
    ended += 1;
  };
  const served = await serveDecisions({
    guardOf,
    store: { approvalSettled, nowMs: () => store.nowMs() },
    clients: Object.entries(TOKENS).map(([agent, token]) => ({ agent, tokens: [token] })),
    port: 0,
    onEvent: (event) => events.push(event),
    onError: (error) => errors.push(error),
    ...options,
  });
  onTestFinished(() => served.close());
  const url = served.url ?? '';
  const answers = createGuard({ agent: 'operator', policy: RULES, store });
  return {
    served,
    store,
    events,
    errors,
    url,
    waitsEnded: () => ended,
    post: (path, body, more) => post(url, path, body, more),
    answer: async (id, decision = 'approve') => void (await answers.approvals.resolve(id, { decision }, { id: 'carol', method: 'host' })),
  };
}

async function post(url: string, path: string, body: unknown, more: PostOptions = {}): Promise<Answered> {
  const { token = TOKENS[ANA], headers = {}, signal, method = 'POST' } = more;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...(token !== '' && { authorization: `Bearer ${token}` }), ...headers },
    ...(method === 'POST' && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text };
}

/** The body for one call. */
export function asked(tool: string, args: unknown = {}, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    subject: { type: 'agent', id: ANA },
    action: { name: 'call', properties: { args } },
    resource: { type: 'tool', id: tool },
    context: { session: { id: 's1' } },
    ...more,
  };
}

let next = 0;

/** The body for a permit, with a call id of its own unless one is given. */
export function wanted(tool: string, args: unknown = {}, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  next += 1;
  return asked(tool, args, { call: { id: `call_${next}` }, ...more });
}

export const PERMITS = '/countersign/v1/permits';
export const EVALUATION = '/access/v1/evaluation';
export const EVALUATIONS = '/access/v1/evaluations';

export function outcomePath(call: string): string {
  return `${PERMITS}/${call}/outcome`;
}
