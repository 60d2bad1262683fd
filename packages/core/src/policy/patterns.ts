// Tool patterns: `server/name` globs, such as `fs/read_*`.
//
// - The pattern's first `/` separates server from name; a pattern without one is a bare name. `*` stands for any number
//   of characters, also none. Everything else is literal and case is significant. `**`, `?`, `[ ]`, `{ }`, `\`, `!` and
//   control characters are refused, because they would look like globs and match nothing.
// - Patterns reach differently far, so that an odd name can neither escape a deny nor slip into an allow:
//
// | pattern  | narrow (allow rules)                           | wide (deny and ask rules, budgets)             |
// |----------|------------------------------------------------|------------------------------------------------|
// | `refund` | `refund` without a server                      | `refund` of any server, and without one        |
// | `*`      | names without `/` of tools without a server    | every tool                                     |
// | `fs/x`   | `x` of server `fs`                             | also a tool without server that is named `fs/x`|
// | `*/x`    | `x` of any named server                        | `x` of any server, and without one             |
// | `fs/*`   | names of `fs` without `/`; `fs/*/*` for one `/`| every tool of `fs`                             |
// | `*/*`    | names without `/` of any named server          | every tool                                     |
//
// Names of tools come from servers and models: they are compared as text, never read as a pattern, never as a RegExp.
import type { ToolRef } from '../call.ts';
import { CountersignError } from '../errors.ts';

/** How far a pattern reaches; see the table above. */
export type PatternReach = 'narrow' | 'wide';

export interface ToolPattern {
  readonly source: string;
  /** The one name this pattern can match, when it has no wildcard in its name part. */
  readonly exactName?: string;
  /** The one server whose tools it can match, when it has no wildcard in its server part. */
  readonly exactServer?: string;
  matches(tool: Pick<ToolRef, 'server' | 'name'>): boolean;
}

export const MAX_PATTERN_CHARS = 256;

const REFUSED = /[?[\]{}\\!\p{C}]/u;

/**
 * Compiles one pattern.
 *
 * @param where - names the place in error messages, such as `policy rule "no-exfil"`.
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function compileToolPattern(source: string, reach: PatternReach, where: string): ToolPattern {
  const fault = patternFault(source);
  if (fault !== undefined) throw new CountersignError('OPTIONS_INVALID', `${where}: ${fault}`);
  const slash = source.indexOf('/');
  const namePart = slash < 0 ? source : source.slice(slash + 1);
  const serverPart = slash < 0 ? undefined : source.slice(0, slash);
  const matches = reach === 'wide' ? wideMatcher(serverPart, namePart, source) : narrowMatcher(serverPart, namePart);
  return {
    source,
    ...(!namePart.includes('*') && { exactName: namePart }),
    ...(serverPart !== undefined && !serverPart.includes('*') && { exactServer: serverPart }),
    matches,
  };
}

/** What is wrong with a pattern, for people; `undefined` when nothing is. */
export function patternFault(source: unknown): string | undefined {
  if (typeof source !== 'string') return 'a tool pattern must be text, such as "fs/read_*"';
  if (source === '') return 'a tool pattern may not be empty; use "*/*" for every tool of every server';
  if (source.length > MAX_PATTERN_CHARS) return `a tool pattern has at most ${MAX_PATTERN_CHARS} characters`;
  const shown = JSON.stringify(source);
  if (source.includes('**')) return `tool pattern ${shown}: "**" is not known; "*/*" is every tool of every server, "*" every bare name`;
  if (REFUSED.test(source)) return `tool pattern ${shown}: "*" is the only wildcard; ? [ ] { } \\ ! and control characters are not allowed`;
  if (source.startsWith('/')) return `tool pattern ${shown}: the server before "/" is empty; write the name alone`;
  if (source.endsWith('/')) return `tool pattern ${shown}: the name after "/" is empty; write "${source}*" for every tool of that server`;
  return undefined;
}

function narrowMatcher(serverPart: string | undefined, namePart: string): ToolPattern['matches'] {
  const name = segmentGlob(namePart);
  if (serverPart === undefined) return (tool) => !hasServer(tool) && name(tool.name);
  const server = glob(serverPart);
  return (tool) => hasServer(tool) && server(tool.server ?? '') && name(tool.name);
}

function wideMatcher(serverPart: string | undefined, namePart: string, whole: string): ToolPattern['matches'] {
  const name = glob(namePart);
  if (serverPart === undefined) return (tool) => name(tool.name);
  const server = glob(serverPart);
  // A tool without a server may carry ours inside its name: `fs/delete` denied means `fs/delete` denied either way.
  const joined = glob(whole);
  const anyServer = serverPart === '*';
  return (tool) => (hasServer(tool) ? server(tool.server ?? '') && name(tool.name) : joined(tool.name) || (anyServer && name(tool.name)));
}

function hasServer(tool: Pick<ToolRef, 'server'>): boolean {
  return tool.server !== undefined && tool.server !== '';
}

/** A glob whose `*` never stands for a `/`. */
function segmentGlob(pattern: string): (text: string) => boolean {
  const segments = pattern.split('/').map(glob);
  return (text) => {
    const parts = text.split('/', segments.length + 1);
    return parts.length === segments.length && segments.every((matches, index) => matches(parts[index] ?? ''));
  };
}

/** A glob whose `*` stands for anything. Time is at most pattern length times text length. */
function glob(pattern: string): (text: string) => boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return (text) => text === head;
  const middle = rest;
  return (text) => {
    if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    const end = text.length - tail.length;
    let at = head.length;
    // Taking the leftmost occurrence of each literal is enough: `*` has no other bound, so nothing is ever retried.
    for (const literal of middle) {
      const found = text.indexOf(literal, at);
      if (found < 0 || found + literal.length > end) return false;
      at = found + literal.length;
    }
    return at <= end;
  };
}
