/**
 * What speaks against calling a tool as its client was shown it. Read before a call is decided, and again in its transaction:
 * only that nothing was accepted or taken back in between is looked at there.
 */
import type { BuiltInReasonCode, ToolRef } from '../call.ts';
import type { Store } from '../store.ts';
import type { PinState } from './book.ts';
import { changesText, declarationChanges } from './changes.ts';

/**
 * What is done about a call of a tool that is not what was trusted. `deny` refuses it; `ask` asks a person, and also about a tool
 * that was flagged when it was first seen and that nobody accepted since; `warn` lets it run, `off` pins nothing.
 */
export const PIN_MODES = ['deny', 'ask', 'warn', 'off'] as const;
export type PinMode = (typeof PIN_MODES)[number];

export interface PinObjection {
  readonly effect: 'deny' | 'require_approval';
  readonly reasonCode: BuiltInReasonCode;
  readonly reason: string;
}

export interface PinFinding {
  /** Digest that is trusted; null: none. Absent: the decision does not depend on it. */
  readonly pinned?: string | null;
  readonly objection?: PinObjection;
}

const NOTHING: PinFinding = {};

interface PinDeps {
  readonly pins: PinMode;
  readonly store: Pick<Store, 'pin' | 'opening'>;
}

export function pinFinding(tool: ToolRef, deps: PinDeps): PinFinding | Promise<PinFinding> {
  const { declared } = tool;
  const { pins } = deps;
  return declared === undefined || pins === 'off' || pins === 'warn' ? NOTHING : findingOn(tool, declared, pins, deps);
}

async function findingOn(
  tool: ToolRef,
  declared: NonNullable<ToolRef['declared']>,
  pins: 'deny' | 'ask',
  { store }: PinDeps,
): Promise<PinFinding> {
  const state = await store.pin(tool.server, tool.name);
  const pinned = state?.pinned?.digest ?? null;
  const found = objectionTo(tool, declared, state, pins, store);
  const objection = found instanceof Promise ? await found : found;
  return objection === undefined ? { pinned } : { pinned, objection };
}

function objectionTo(
  { server, name }: ToolRef,
  declared: NonNullable<ToolRef['declared']>,
  state: PinState | undefined,
  pins: 'deny' | 'ask',
  store: Pick<Store, 'opening'>,
): PinObjection | undefined | Promise<PinObjection> {
  const tool = `${server === undefined ? '' : `${server}/`}${name}`;
  if (declared === 'unpinnable')
    return refused('TOOL_UNPINNED', `${tool} is declared in a way that cannot be compared with what was trusted`);
  if (state === undefined)
    return declared === 'unlisted'
      ? undefined
      : refused('TOOL_UNPINNED', `the declaration of ${tool} is not on record: list the tools again`);
  if (state.pinned === undefined) return refused('TOOL_UNPINNED', `a person took back the trust in ${tool}`);
  const other = otherThan(state, declared);
  if (other !== undefined) return changedObjection(tool, state, other, pins, store);
  const flags = state.acceptedBy === undefined ? state.pinned.flags.filter((flag) => flag !== 'shadows') : [];
  if (pins !== 'ask' || flags.length === 0) return undefined;
  const reason = `${tool} was flagged when it was first seen (${flags.join(', ')}), and nobody accepted it since`;
  return { effect: 'require_approval', reasonCode: 'TOOL_FLAGGED', reason };
}

async function changedObjection(
  tool: string,
  state: PinState,
  other: string,
  pins: 'deny' | 'ask',
  store: Pick<Store, 'opening'>,
): Promise<PinObjection> {
  const what = changesText(await declarationChanges(state, store, state.recorded.get(other)));
  const reason = `${tool} is not what was trusted since ${new Date(state.sinceMs).toISOString().slice(0, 10)}${what === '' ? '' : `: ${what}`}`;
  return { effect: pins === 'ask' ? 'require_approval' : 'deny', reasonCode: 'TOOL_CHANGED', reason };
}

/** A declaration the client was shown that is not trusted: the one it was shown last, or one before. */
function otherThan({ pinned, offered, trusted }: PinState, declared: NonNullable<ToolRef['declared']>): string | undefined {
  if (declared === 'unlisted') return offered.at(-1)?.digest;
  if (typeof declared === 'string') return undefined;
  if (declared.digest !== pinned?.digest) return declared.digest;
  return declared.others?.find((digest) => !trusted.has(digest));
}

function refused(reasonCode: BuiltInReasonCode, reason: string): PinObjection {
  return { effect: 'deny', reasonCode, reason };
}
