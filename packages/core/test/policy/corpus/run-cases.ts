/** Runs corpora through a real guard, one session per case, so that labels and sequences are real. */

import { createGuard } from '../../../src/guard.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { memoryStore } from '../../../src/testing/index.ts';
import type { CorpusCase } from './packs-case.ts';

export interface CaseOutcome {
  readonly of: CorpusCase;
  /** What policy said of each call: `allow`, or the effect and the rule. */
  readonly said: readonly string[];
  readonly alarmed: boolean;
  readonly denied: boolean;
}

/** In audit mode, as a newcomer runs it: every call runs, and what policy would have done is looked at. */
export async function runCases(cases: readonly CorpusCase[], policy: Policy | readonly Policy[]): Promise<readonly CaseOutcome[]> {
  const guard = createGuard({ agent: 'bot', mode: 'audit', policy, store: memoryStore() });
  const outcomes: CaseOutcome[] = [];
  for (const [index, each] of cases.entries()) {
    const said: string[] = [];
    for (const { tool, args, annotations, result } of each.calls) {
      const slash = tool.indexOf('/');
      const ref = { ...(slash >= 0 && { server: tool.slice(0, slash) }), name: tool.slice(slash + 1), ...(annotations && { annotations }) };
      const authorization = await guard.authorize({ tool: ref, args, session: `case-${index}` });
      const { would, rule, reasonCode } = authorization.decision;
      const verdict = would === 'allow' ? 'allow' : `${would} ${rule ?? reasonCode}`;
      if (authorization.kind !== 'permit') {
        said.push(`${verdict}, not run: ${reasonCode} ${authorization.decision.reason ?? ''}`);
        continue;
      }
      said.push(verdict);
      await authorization.release({ status: 'success', ...(result !== undefined && { result }) });
    }
    outcomes.push({
      of: each,
      said,
      alarmed: said.some((word) => word !== 'allow'),
      denied: said.some((word) => word.startsWith('deny') || word.includes('not run')),
    });
  }
  await guard.close();
  return outcomes;
}

export function rate(outcomes: readonly CaseOutcome[]): number {
  return outcomes.filter(({ alarmed }) => alarmed).length / outcomes.length;
}

/** One line per case, for whoever reads a failing test. */
export function describeCase({ of, said }: CaseOutcome): string {
  return `${of.category}: ${of.calls.map(({ tool, args }) => `${tool} ${JSON.stringify(args).slice(0, 160)}`).join(' | ')} -> ${said.join(' | ')}`;
}
