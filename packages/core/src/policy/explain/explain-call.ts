/** Explaining a call that somebody writes down, as a guard would decide it. Nothing is recorded, and no tool runs. */
import type { Json, Mode, ToolCall } from '../../call.ts';
import type { Config } from '../../config/config.ts';
import { CountersignError } from '../../errors.ts';
import { judge } from '../../judge.ts';
import { isUnusable, prepareCall } from '../../prepare.ts';
import { createRedactor } from '../../redact/redact.ts';
import { ruleSetsOf } from '../check/members.ts';
import { ownFilesPolicy } from '../own-files.ts';
import { rootsFrom } from '../roots.ts';
import { type Explanation, explainRuling } from './explain.ts';

export interface ExplainedCall extends Explanation {
  /** As rules see them: without secrets. */
  readonly args: Json;
  readonly tool: { readonly server?: string; readonly name: string };
  readonly mode: Mode;
  readonly sessionLabels: readonly string[];
}

export interface ExplainOptions {
  readonly mode?: Mode;
  readonly labels?: readonly string[];
  /** Default: now. */
  readonly atMs?: number;
}

/** @throws {CountersignError} `OPTIONS_INVALID` for a call that no policy would get to see: what is wrong with it. */
export async function explainCall(call: ToolCall, config: Config, options: ExplainOptions = {}): Promise<ExplainedCall> {
  const { agent, policy, roots, redaction, ledger } = config;
  const { mode = config.mode, labels = [], atMs = Date.now() } = options;
  const redactor = createRedactor(redaction);
  const session = call.session ?? 'explained';
  const prepared = prepareCall({ ...call, session }, { agent, session, store: { nowMs: () => atMs, mac: () => '' }, redactor });
  if (isUnusable(prepared))
    throw new CountersignError('OPTIONS_INVALID', `no policy would see this call: ${prepared.reason} [${prepared.reasonCode}]`);
  const ownFiles = ownFilesPolicy([
    ledger.path,
    ...(ledger.key === undefined ? [] : [ledger.key]),
    ...(config.path === undefined ? [] : [config.path]),
  ]);
  const facts = { id: session, labels: [...labels].toSorted(), halted: false, startedAtMs: atMs, version: 0 };
  const judgement = await judge(prepared, facts, policy, atMs, {
    agent,
    mode,
    ownFiles,
    redactor,
    roots: rootsFrom(roots),
    store: NO_CALLS,
    pins: 'off',
  });
  const { server, name } = call.tool;
  return {
    ...explainRuling(judgement, judgement.input, ruleSetsOf(config)),
    args: prepared.shown,
    tool: { ...(server !== undefined && { server }), name },
    mode,
    sessionLabels: facts.labels,
  };
}

/** A call written down is the first of its session, of a tool that no server declared. */
const NO_CALLS = { sessionCalls: async () => [], pin: async () => undefined, opening: async () => undefined };
