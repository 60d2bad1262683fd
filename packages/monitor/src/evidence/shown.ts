/**
 * What of a process may be written down: redacted, and bounded whatever it holds.
 *
 * A watched process chooses its arguments and the names of its files: 100 kB of them, half a secret at the place where we would
 * cut, a lone surrogate. Secrets are replaced before anything is cut, and what a cut may have split is left out.
 */
import type { Json, Redactor } from '@countersign/core';

/** Tried one after the other until what is written fits. Lists of numbers keep their last ones, other lists their first. */
const BOUNDS = [
  { chars: 4096, items: 100 },
  { chars: 512, items: 32 },
  { chars: 64, items: 8 },
] as const;
type Bounds = (typeof BOUNDS)[number];

const MAX_DEPTH = 6;
const MAX_MEMBERS = 64;
const MAX_NUMBERS = 100;
/** Of one value and all in it; texts beyond are left out. */
const MAX_SCANNED_CHARS = 65_536;
/** Dropped behind a cut: longer than what may be left to see of a secret that it split. */
const CUT_MARGIN_CHARS = 8192;
const MAX_RAW_CHARS = BOUNDS[0].chars + CUT_MARGIN_CHARS;
const CUT = '… [cut]';

/** Paths and programs come again and again; looking for secrets in one takes microseconds. */
const MAX_REMEMBERED = 4096;
const MAX_REMEMBERED_CHARS = 512;

/** Makes values fit to be written. One per log: it remembers the texts that come often. */
export class Shown {
  readonly #redactor: Redactor;
  readonly #texts = new Map<string, string>();
  /** Of a process that is seen often: its arguments are the same list. */
  readonly #lists = new WeakMap<readonly string[], readonly string[]>();

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  /**
   * @param fits - whether it may stay as it is; bounds get narrower until it says so.
   * @returns undefined when even the narrowest does not fit.
   */
  json(value: unknown, fits: (json: Json) => boolean): Json | undefined {
    for (const bounds of BOUNDS) {
      const json = this.#within(value, bounds);
      if (fits(json)) return json;
    }
    return undefined;
  }

  /** One text, at most 4096 characters. */
  text(value: string): string {
    return this.#within(value, BOUNDS[0]) as string;
  }

  #within(value: unknown, bounds: Bounds): Json {
    return this.#any(value, bounds, { chars: MAX_SCANNED_CHARS }, 0) ?? null;
  }

  #any(value: unknown, bounds: Bounds, left: { chars: number }, depth: number): Json | undefined {
    if (typeof value === 'string') return this.#cut(this.#text(value, left), bounds.chars);
    if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
    if (typeof value === 'boolean' || value === null) return value;
    if (typeof value !== 'object') return undefined;
    if (depth >= MAX_DEPTH) return '[too deep]';
    if (Array.isArray(value)) return this.#list(value, bounds, left, depth);
    const members: [string, Json][] = [];
    for (const [name, member] of Object.entries(value).slice(0, MAX_MEMBERS)) {
      const shown = this.#any(member, bounds, left, depth + 1);
      if (shown !== undefined) members.push([name, shown]);
    }
    return Object.fromEntries(members);
  }

  #list(list: readonly unknown[], bounds: Bounds, left: { chars: number }, depth: number): Json {
    if (list.every((item) => typeof item === 'number')) return list.slice(-MAX_NUMBERS).filter(Number.isFinite);
    const kept = list.slice(0, bounds.items);
    const shown = kept.every((item) => typeof item === 'string')
      ? this.#arguments(list as readonly string[], kept, left).map((item) => this.#cut(item, bounds.chars))
      : kept.map((item) => this.#any(item, bounds, left, depth + 1) ?? null);
    const areTexts = shown.every((item) => typeof item === 'string');
    // Among objects a text would be none: whoever writes those counts them.
    return list.length > kept.length && areTexts ? [...shown, `[${list.length - kept.length} more]`] : shown;
  }

  /** Arguments: a flag and what it stands for are looked at together, and so are the pieces of a secret. */
  #arguments(list: readonly string[], kept: readonly string[], left: { chars: number }): readonly string[] {
    const known = this.#lists.get(list);
    if (known?.length === kept.length) return known;
    const raw = kept.map((item) => this.#text(item, left));
    const shown = this.#redactor.redact(raw).shown as readonly string[];
    this.#lists.set(list, shown);
    return shown;
  }

  #text(value: string, left: { chars: number }): string {
    if (value.length <= MAX_REMEMBERED_CHARS) return this.#remembered(value);
    if (left.chars < Math.min(value.length, MAX_RAW_CHARS)) return CUT;
    left.chars -= Math.min(value.length, MAX_RAW_CHARS);
    if (value.length <= MAX_RAW_CHARS) return this.#redactor.text(value);
    const start = this.#redactor.text(value.slice(0, MAX_RAW_CHARS));
    return start.slice(0, Math.max(0, start.length - CUT_MARGIN_CHARS)) + CUT;
  }

  #remembered(value: string): string {
    const known = this.#texts.get(value);
    if (known !== undefined) return known;
    const shown = this.#redactor.text(value);
    if (this.#texts.size >= MAX_REMEMBERED) this.#texts.clear();
    this.#texts.set(value, shown);
    return shown;
  }

  #cut(text: string, chars: number): string {
    if (text.length <= chars) return text;
    const kept = text.slice(0, chars - CUT.length);
    // Not between the halves of one character.
    return (/[\ud800-\udbff]$/.test(kept) ? kept.slice(0, -1) : kept) + CUT;
  }
}
