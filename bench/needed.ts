/**
 * The work that no guard could leave out for one call, that of `calls.ts` or another, done once, straight, and with no awaiting in between:
 * - the private copy of the arguments with its exact text, and its MAC, by which a repeated call is recognised;
 * - redaction of the arguments and of the result's excerpt;
 * - the policy;
 * - commitments to arguments and result, under a fresh key each;
 * - the two entries, decision and outcome: canonical text and leaf hash.
 */
import { createRedactor, type Policy, type PolicyInput } from '@countersign/core';
import type { EntryRef } from '../packages/core/src/call.ts';
import { callNames } from '../packages/core/src/call-key.ts';
import { entryText, newOrderedId } from '../packages/core/src/ledger/body.ts';
import { commitSection, newOpeningKey } from '../packages/core/src/ledger/commitment.ts';
import type { EntryBody, Opening } from '../packages/core/src/ledger/entry.ts';
import { leafHash } from '../packages/core/src/ledger/merkle.ts';
import { captureArguments } from '../packages/core/src/redact/arguments.ts';
import { showAnything } from '../packages/core/src/redact/excerpt.ts';
import { AGENT, ARGS, DECISION, RESULT, SESSION, TOOL } from './calls.ts';

/** An entry ready to be stored, and the opening that goes beside it. */
export interface ReadyEntry {
  readonly text: string;
  readonly leaf: string;
  readonly opening: Opening;
}

export type Decided = ReadyEntry & { readonly call: string; readonly match: string };

export interface NeededWork {
  /** @param args - default: those of `calls.ts`. */
  decide(args?: unknown): Decided;
  settle(call: string, decision: EntryRef, result?: unknown): ReadyEntry;
}

export function neededWork(
  policy: Policy,
  store: { readonly writer: string; mac(text: string): string },
  tool: PolicyInput['tool'] = TOOL,
): NeededWork {
  const redactor = createRedactor();
  const stamp = { atMs: Date.now(), writer: store.writer };
  const session = { id: SESSION, labels: [], halted: false, startedAtMs: stamp.atMs, version: 0 };
  return {
    decide(args = ARGS) {
      const { exact, value } = captureArguments(args);
      const named = { agent: AGENT, session: SESSION, principal: undefined, tool, exact };
      const { match } = callNames(named, undefined, (text) => store.mac(text));
      const { shown, findings } = redactor.redact(value);
      const input: PolicyInput = {
        tool,
        args: shown,
        findings,
        agent: AGENT,
        session,
        mode: 'enforce',
        atMs: stamp.atMs,
        raw: () => value,
      };
      const verdict = policy.evaluate(input);
      if (!('effect' in verdict) || verdict.effect !== 'allow') throw new Error('the bench rule does not allow the bench call');
      const call = newOrderedId(Date.now());
      const key = newOpeningKey();
      const body = { ...DECISION, tool, call, args_commit: commitSection(key, 'args', shown) };
      return { ...ready(body, stamp, { key, sections: { args: shown } }), call, match };
    },
    settle(call, decision, given = RESULT) {
      const key = newOpeningKey();
      const result = { excerpt: showAnything(given, redactor) };
      const body: EntryBody = {
        kind: 'outcome',
        agent: AGENT,
        session: SESSION,
        call,
        decision,
        status: 'success',
        duration_ms: 0,
        result_commit: commitSection(key, 'result', result),
      };
      return ready(body, stamp, { key, sections: { result } });
    },
  };
}

function ready(body: EntryBody, stamp: Parameters<typeof entryText>[1], opening: Opening): ReadyEntry {
  const text = entryText(body, stamp);
  return { text, leaf: leafHash(text), opening };
}
