/** What outcomes and answers do not repeat: the decision they belong to, while an export streams by. */
import type { RecordFacts } from '../container/record-facts.ts';

/** Calls whose outcome may still come. A ledger with more open ones gives rows without a tool for the oldest. */
const MAX_OPEN_CALLS = 50_000;

export type DecisionFacts = Pick<RecordFacts, 'index' | 'tool' | 'principal' | 'reasonCode' | 'rule' | 'policy'>;

export class Decisions {
  private readonly open = new Map<string, DecisionFacts>();

  /** To be told every record in order. @returns the decision it belongs to: its own, or the one it names if that was read. */
  of(facts: RecordFacts): DecisionFacts | undefined {
    const { kind, call, effect, decision } = facts;
    if (kind === 'decision') {
      // After a refusal nothing follows.
      if (call !== undefined && effect === 'deny') this.open.delete(call);
      else if (call !== undefined) this.remember(call, facts);
      return facts;
    }
    if (call === undefined || (kind !== 'outcome' && kind !== 'approval')) return undefined;
    const found = this.open.get(call);
    if (kind === 'outcome') this.open.delete(call);
    return decision === undefined || found?.index === decision ? found : undefined;
  }

  private remember(call: string, { index, tool, principal, reasonCode, rule, policy }: RecordFacts): void {
    const brief = { index, tool, principal, reasonCode, rule, policy };
    this.open.set(call, Object.fromEntries(Object.entries(brief).filter(([, value]) => value !== undefined)) as unknown as DecisionFacts);
    if (this.open.size > MAX_OPEN_CALLS) this.open.delete(this.open.keys().next().value as string);
  }
}
