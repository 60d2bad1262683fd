import type { OfferedTool, ToolAnnotations, ToolRef } from '@countersign/core';
import { CountersignError, toolDigest } from '@countersign/core';
import { MAX_TOOL_NAME_CHARS } from './client-message.ts';
import { isObject, type JsonObject, member } from './message.ts';

/** Most tools remembered of one server. */
export const MAX_TOOLS = 10_000;
/** Declarations of one tool that are remembered to have been shown. */
const MAX_SHOWN_BEFORE = 60;
const MAX_TITLE_CHARS = 256;
const HINTS = ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint'] as const;
/** Stands for a declaration that cannot be compared: no digest is all zeros. */
const UNPINNABLE = '0'.repeat(64);

interface Known {
  readonly annotations: ToolAnnotations | undefined;
  /** Of the newest declaration; undefined when it has none. */
  readonly digest: string | undefined;
  /** The newest declaration was left out of the list the client got. */
  isHidden: boolean;
  /** Digests of others that clients were shown before. */
  readonly before: ReadonlySet<string>;
}

/**
 * What a server declared about its tools, as clients were shown it. The server writes all of it, names included.
 *
 * Every declaration that was shown counts, not only the newest: what a model has read once cannot be taken back by listing the
 * tool as it was.
 */
export class ToolDirectory {
  readonly #tools = new Map<string, Known>();
  readonly #pins: boolean;
  /** Clients may know tools that are not in here. */
  #hasGaps = false;

  /** @param pins - declarations are compared with what is pinned. */
  constructor(pins = false) {
    this.#pins = pins;
  }

  /**
   * Takes in the `tools` of a listing, before the client gets it.
   *
   * @param pinned - what the guard made of each, in their order; absent where nothing is pinned.
   */
  learn(tools: readonly unknown[], pinned?: readonly OfferedTool[]): void {
    for (const [i, tool] of tools.entries()) {
      const name = isObject(tool) ? member(tool, 'name') : undefined;
      // A client that knows it by another name than we do is not held to what was pinned.
      if (!isObject(tool) || typeof name !== 'string' || name.length > MAX_TOOL_NAME_CHARS) continue;
      const before = this.#tools.get(name);
      if (this.#tools.size >= MAX_TOOLS && before === undefined) {
        this.#hasGaps = true;
        continue;
      }
      const digest = pinned === undefined ? digestOrNone(tool) : pinned[i]?.digest;
      this.#tools.set(name, {
        annotations: readAnnotations(member(tool, 'annotations')),
        digest,
        isHidden: false,
        before: shownBefore(before, digest),
      });
    }
  }

  /** These were left out of the list: nobody has read what they say. */
  hide(names: Iterable<string>): void {
    for (const name of names) {
      const known = this.#tools.get(name);
      if (known !== undefined) known.isHidden = true;
    }
  }

  /** A client may have read tools out of a listing that are not in here: what it calls by an unknown name cannot be compared. */
  miss(): void {
    this.#hasGaps = true;
  }

  /** Whether this very declaration was taken in before. */
  has(name: string, digest: string): boolean {
    const known = this.#tools.get(name);
    return known?.digest === digest || known?.before.has(digest) === true;
  }

  ref(server: string, name: string): ToolRef {
    const known = this.#tools.get(name);
    const ref: { -readonly [Member in keyof ToolRef]: ToolRef[Member] } = { server, name };
    if (known?.digest !== undefined) ref.schema = known.digest;
    if (known?.annotations !== undefined) ref.annotations = known.annotations;
    if (this.#pins) ref.declared = this.#declared(known);
    return ref;
  }

  #declared(known: Known | undefined): NonNullable<ToolRef['declared']> {
    if (known === undefined) return this.#hasGaps ? 'unpinnable' : 'unlisted';
    if (known.digest === undefined) return 'unpinnable';
    return known.before.size === 0 ? { digest: known.digest } : { digest: known.digest, others: [...known.before] };
  }
}

function shownBefore(known: Known | undefined, digest: string | undefined): ReadonlySet<string> {
  if (known === undefined) return new Set();
  if (known.isHidden || known.digest === digest || known.before.size >= MAX_SHOWN_BEFORE) return known.before;
  const before = new Set(known.before).add(known.digest ?? UNPINNABLE);
  if (digest !== undefined) before.delete(digest);
  return before;
}

function digestOrNone(tool: JsonObject): string | undefined {
  try {
    return toolDigest(tool);
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}

function readAnnotations(value: unknown): ToolAnnotations | undefined {
  if (!isObject(value)) return undefined;
  const title = member(value, 'title');
  const hints = HINTS.map((hint) => [hint, member(value, hint)] as const).filter(([, set]) => typeof set === 'boolean');
  return { ...(typeof title === 'string' ? { title: title.slice(0, MAX_TITLE_CHARS) } : {}), ...Object.fromEntries(hints) };
}
