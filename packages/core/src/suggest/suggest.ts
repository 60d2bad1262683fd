/**
 * A least-privilege draft of a policy from the calls a ledger saw: what ran, exactly those tools, with what held for the
 * arguments of every call. For people to read and cut; it is a draft of what happened, not of what should.
 *
 * Nothing is learnt from a call that the baseline would have stopped: its tool asks. So does one whose author calls it
 * destructive or open to the world. Values come from the shown view, and one with a replaced secret is never used.
 */

import { PACKS } from '../packs/index.ts';
import { packPolicy } from '../packs/pack.ts';
import { patternFault } from '../policy/patterns.ts';
import type { Policy } from '../policy/policy.ts';
import type { ReplayOptions } from '../replay/replay.ts';
import { replayDecisions } from '../replay/replay-file.ts';
import type { ReplayedDecision } from '../replay/report.ts';
import { draftText } from './draft.ts';
import { ObservedTool } from './observed.ts';

const MAX_TOOLS = 1000;

export interface SuggestOptions extends Pick<ReplayOptions, 'isMeant' | 'onProgress'> {
  /** Id of the draft; default `suggested`. */
  readonly id?: string;
}

export interface Suggestion {
  /** A policy file: what stands under `policy:`, with counts and examples as comments. */
  readonly text: string;
  /** Calls that ran, and what was learnt from them. */
  readonly calls: number;
  readonly tools: number;
  /** Tools that ask because some of their calls look like an attack. */
  readonly alarming: number;
  /** Tools whose name no pattern can be written for, or that came after too many others. */
  readonly leftOut: number;
  /** Calls that could not be looked at, by reason. */
  readonly unread: ReadonlyMap<string, number>;
}

/** @throws {CountersignError} as `replayDecisions` */
export async function suggestPolicy(path: string, options: SuggestOptions = {}): Promise<Suggestion> {
  const observed = new Map<string, ObservedTool>();
  let calls = 0;
  let leftOut = 0;
  const { id = 'suggested', isMeant = () => true, onProgress } = options;
  const report = await replayDecisions(path, {
    policy: baselineAlone(),
    assumeNoLinks: true,
    isMeant: (entry) => entry.effect === 'allow' && isMeant(entry),
    onDecision(decision) {
      calls++;
      const tool = toolIn(observed, decision);
      if (tool === undefined) leftOut++;
      else take(tool, decision);
    },
    ...(onProgress !== undefined && { onProgress }),
  });
  const tools = [...observed.values()].toSorted((left, right) => right.count - left.count);
  return {
    text: draftText(id, tools, { calls, unread: report.notReplayable, leftOut }),
    calls,
    tools: tools.length,
    alarming: tools.filter(({ alarms }) => alarms.size > 0).length,
    leftOut,
    unread: report.notReplayable,
  };
}

/** What it does not stop is allowed. */
function baselineAlone(): Policy {
  return packPolicy(PACKS.baseline, {});
}

function toolIn(observed: Map<string, ObservedTool>, { entry }: ReplayedDecision): ObservedTool | undefined {
  const { server, name } = entry.tool;
  const key = JSON.stringify([server ?? null, name]);
  const known = observed.get(key);
  if (known !== undefined) return known;
  if (observed.size >= MAX_TOOLS || !isNameable(server, name)) return undefined;
  const tool = new ObservedTool({ ...(server !== undefined && { server }), name });
  observed.set(key, tool);
  return tool;
}

/** Whether a pattern says exactly this tool. */
function isNameable(server: string | undefined, name: string): boolean {
  if (name.includes('*') || server?.includes('*') === true || server?.includes('/') === true) return false;
  if (server === undefined && name.includes('/')) return false;
  return patternFault(server === undefined ? name : `${server}/${name}`) === undefined;
}

function take(tool: ObservedTool, { to, ruling, input, index }: ReplayedDecision): void {
  if (to !== 'allow') {
    const rule = ruling.decision.rule ?? ruling.decision.reasonCode;
    tool.count++;
    tool.alarms.set(rule, (tool.alarms.get(rule) ?? 0) + 1);
    return;
  }
  tool.add(input.args, input.tool.annotations, index + 1);
}
