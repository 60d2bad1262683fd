/** What was seen of one tool: enough for a draft of a rule, in memory that calls do not fill. */
import type { Json, ToolAnnotations } from '../call.ts';

/** Texts of an argument that are remembered; one more says "many". */
export const MAX_VALUES = 8;
/** Arguments of a tool that are looked at. */
const MAX_KEYS = 64;
/** Longer texts are no choice from a list. */
const MAX_VALUE_CHARS = 120;
const MAX_EXAMPLES = 3;
const REDACTED = '[redacted:';

export interface ObservedArgument {
  /** Calls that had it. */
  count: number;
  /** Types it had: one of them, or no constraint holds for all. */
  readonly types: Set<string>;
  /** Its texts or truth values, at most `MAX_VALUES` + 1. */
  readonly values: Set<string | boolean>;
  least: number;
  most: number;
  /** Directories every path lay in, as segments; undefined once a value was no absolute path. */
  folder: readonly string[] | undefined;
  /** Hosts of its URLs, at most `MAX_VALUES` + 1; undefined once a value was none. */
  hosts: Set<string> | undefined;
  /** The redactor replaced something in it: nothing is said of its value. */
  hasSecrets: boolean;
}

export class ObservedTool {
  readonly tool: { readonly server?: string; readonly name: string };
  count = 0;
  readonly args: Map<string, ObservedArgument> = new Map();
  /** Rules of the baseline that would have asked or denied, with how often. */
  readonly alarms: Map<string, number> = new Map();
  annotations: ToolAnnotations = {};
  /** Entries of the first calls, from 1. */
  readonly examples: number[] = [];

  constructor(tool: ObservedTool['tool']) {
    this.tool = tool;
  }

  add(args: Json, annotations: ToolAnnotations | undefined, entry: number): void {
    this.count++;
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(entry);
    // One call whose author called it destructive is enough.
    this.annotations = {
      destructiveHint: this.annotations.destructiveHint === true || annotations?.destructiveHint === true,
      openWorldHint: this.annotations.openWorldHint === true || annotations?.openWorldHint === true,
    };
    if (typeof args !== 'object' || args === null || Array.isArray(args)) return;
    for (const [key, value] of Object.entries(args)) this.#see(key, value);
  }

  #see(key: string, value: Json): void {
    let seen = this.args.get(key);
    if (seen === undefined) {
      if (this.args.size >= MAX_KEYS) return;
      seen = {
        count: 0,
        types: new Set(),
        values: new Set(),
        least: Number.POSITIVE_INFINITY,
        most: Number.NEGATIVE_INFINITY,
        folder: undefined,
        hosts: new Set(),
        hasSecrets: false,
      };
      this.args.set(key, seen);
    }
    const isFirst = seen.count === 0;
    seen.count++;
    seen.types.add(value === null ? 'null' : typeof value);
    if (JSON.stringify(value).includes(REDACTED)) seen.hasSecrets = true;
    if (typeof value === 'number') {
      seen.least = Math.min(seen.least, value);
      seen.most = Math.max(seen.most, value);
    } else if ((typeof value === 'string' || typeof value === 'boolean') && seen.values.size <= MAX_VALUES) {
      seen.values.add(typeof value === 'string' && value.length > MAX_VALUE_CHARS ? `${value.slice(0, MAX_VALUE_CHARS)}...` : value);
    }
    const text = typeof value === 'string' ? value : '';
    const folder = folderOf(text);
    seen.folder = isFirst ? folder : folder === undefined || seen.folder === undefined ? undefined : common(seen.folder, folder);
    const host = hostOf(text);
    if (host === undefined) seen.hosts = undefined;
    else if (seen.hosts !== undefined && seen.hosts.size <= MAX_VALUES) seen.hosts.add(host);
  }
}

/** Segments of the folder an absolute path lies in. A path that climbs is none to learn from. */
function folderOf(text: string): readonly string[] | undefined {
  if (!text.startsWith('/') || text.includes('//') || /[\p{C}\\%]/u.test(text)) return undefined;
  const segments = text.split('/').slice(1, -1);
  return segments.includes('..') || segments.includes('.') ? undefined : segments;
}

function common(left: readonly string[], right: readonly string[]): readonly string[] {
  const end = left.findIndex((segment, index) => right[index] !== segment);
  return end < 0 ? left : left.slice(0, end);
}

function hostOf(text: string): string | undefined {
  if (!/^https?:\/\//.test(text)) return undefined;
  const host = URL.parse(text)?.hostname ?? '';
  return /^[a-z0-9.-]+$/.test(host) ? host : undefined;
}
