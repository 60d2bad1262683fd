/**
 * How many calls of a session were allowed, by tool: counted from entries, never from rows.
 *
 * Counting all entries of a session for each of its calls would cost more with each call. So each writer and each reader
 * remembers what it counted and reads on from there. Right only while what was read stays in the tree: whoever rolls
 * entries back clears it.
 */
import type { EntriesSince } from '../grant/history.ts';
import { parseEntry } from '../ledger/body.ts';
import type { EntryBody } from '../ledger/entry.ts';
import type { ToolCount } from '../policy/call-counts.ts';

/** Sessions remembered at once; more than that and all are counted anew. */
export const MAX_COUNTED_SESSIONS = 256;

const ALLOWED = '"effect":"allow"';
const STARTED = '"event":"start"';

interface Counted {
  readonly tool: ToolCount['tool'];
  count: number;
}

export class SessionCalls {
  private readonly entriesSince: EntriesSince;
  private readonly known = new Map<string, Map<string, Counted>>();
  /** Entries before this position were read for every known session. */
  private upTo = 0;

  constructor(entriesSince: EntriesSince) {
    this.entriesSince = entriesSince;
  }

  /**
   * @param size - entries there are, those of this transaction included.
   * @param start - where a row says that the session starts; asked only for a session that is not known. Undefined: no row knows it.
   */
  of(session: string, size: number, start: () => number | undefined): readonly ToolCount[] {
    this.readOn(size);
    let tools = this.known.get(session);
    if (tools === undefined) {
      if (this.known.size >= MAX_COUNTED_SESSIONS) this.known.clear();
      const from = start();
      tools = from === undefined ? new Map() : (this.countFrom(from, session) ?? this.countFrom(0, session) ?? new Map());
      this.known.set(session, tools);
    }
    return [...tools.values()];
  }

  /** Undefined where the session does not start there or later: somebody edited its row, so that a rule counts too few. */
  private countFrom(from: number, session: string): Map<string, Counted> | undefined {
    const tools = new Map<string, Counted>();
    let isWhole = from === 0;
    // What it looks for stands in the text as it is: canonical JSON has one spelling for a name.
    const name = `"session":${JSON.stringify(session)}`;
    const isOurs = (text: string): boolean => text.includes(name) && (text.includes(ALLOWED) || (!isWhole && text.includes(STARTED)));
    for (const text of this.entriesSince(from - 1, isOurs)) {
      const entry = parseEntry(text);
      isWhole ||= entry.kind === 'session' && entry.event === 'start' && entry.session === session;
      note(entry, session, tools);
    }
    return isWhole ? tools : undefined;
  }

  /** An entry this writer appends, so that it need not be read again. */
  appended(of: number, body: EntryBody): void {
    if (this.known.size === 0 || of !== this.upTo) return;
    this.take(body);
    this.upTo = of + 1;
  }

  clear(): void {
    this.known.clear();
    this.upTo = 0;
  }

  private readOn(size: number): void {
    if (size < this.upTo) this.clear();
    if (this.known.size > 0 && size > this.upTo)
      for (const text of this.entriesSince(this.upTo - 1, (each) => each.includes(ALLOWED))) this.take(parseEntry(text));
    this.upTo = size;
  }

  private take(body: EntryBody): void {
    if (body.kind !== 'decision') return;
    const tools = this.known.get(body.session);
    if (tools !== undefined) note(body, body.session, tools);
  }
}

function note(body: EntryBody, session: string, tools: Map<string, Counted>): void {
  if (body.kind !== 'decision' || body.effect !== 'allow' || body.session !== session) return;
  const { server, name } = body.tool;
  const key = JSON.stringify([server ?? '', name]);
  const counted = tools.get(key);
  if (counted !== undefined) counted.count++;
  else tools.set(key, { tool: { ...(server !== undefined && { server }), name }, count: 1 });
}
