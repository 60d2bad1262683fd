/** Sessions as they stood at each entry, rebuilt by walking a ledger in order. Memory grows with sessions, not with calls. */
import type { ToolRef } from '../call.ts';
import type { DecisionBody, SessionBody } from '../ledger/entry.ts';
import { countOf } from '../policy/call-counts.ts';
import type { ReplaySession } from '../policy/replay-input.ts';

interface Row {
  labels: readonly string[];
  halted: boolean;
  readonly startedAtMs: number;
  version: number;
  /** Calls that were allowed, by tool. */
  readonly calls: Map<string, { readonly tool: Pick<ToolRef, 'server' | 'name'>; count: number }>;
}

export class ReplaySessions {
  readonly #rows = new Map<string, Row>();

  /** What a decision at this place of the ledger saw. */
  at(id: string, atMs: number): ReplaySession {
    const row = this.#rows.get(id);
    const { labels, halted, startedAtMs, version } = row ?? { labels: [], halted: false, startedAtMs: atMs, version: 0 };
    return { id, labels, halted, startedAtMs, version, countCalls: (subject) => countOf(subject, row?.calls.values() ?? []) };
  }

  changed({ session, event, labels = [] }: SessionBody, atMs: number): void {
    const row = this.#row(session, atMs);
    if (event === 'halted' || event === 'resumed') row.halted = event === 'halted';
    this.#add(row, labels);
    row.version++;
  }

  /** A call that was allowed, and what it told of itself. */
  allowed({ session, tool: { server, name } }: DecisionBody, labels: readonly string[], atMs: number): void {
    const row = this.#row(session, atMs);
    this.#add(row, labels);
    const key = `${server?.length ?? 0}/${server ?? ''}${name}`;
    const known = row.calls.get(key);
    if (known !== undefined) known.count++;
    else row.calls.set(key, { tool: { ...(server !== undefined && { server }), name }, count: 1 });
  }

  /** What a result told. */
  labelled(session: string, labels: readonly string[], atMs: number): void {
    this.#add(this.#row(session, atMs), labels);
  }

  #row(id: string, atMs: number): Row {
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = { labels: [], halted: false, startedAtMs: atMs, version: 0, calls: new Map() };
      this.#rows.set(id, row);
    }
    return row;
  }

  #add(row: Row, labels: readonly string[]): void {
    if (labels.every((label) => row.labels.includes(label))) return;
    row.labels = [...new Set([...row.labels, ...labels])].toSorted();
    row.version++;
  }
}
