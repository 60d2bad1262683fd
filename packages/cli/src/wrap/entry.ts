/**
 * One server of a client's list, and the same started through our proxy.
 *
 * `{ "command": "npx", "args": ["-y", "x"] }` becomes
 * `{ "command": "/abs/node", "args": ["/abs/main.js", "proxy", "--wrapped", "stdio", "--server", "files", "--config", "/abs/countersign.yaml", "--", "npx", "-y", "x"] }`.
 *
 * `proxy --wrapped KIND` is the mark by which an entry of ours is known; KIND says what has to come back: `stdio`, or
 * `stdio-bare` where there was no `args`. The old command moves as it is written and everything else stays where it is, so
 * `unwrapEntry` gives the old bytes back from the entry alone.
 */
import { posix, win32 } from 'node:path';
import type { Program } from './program.ts';
import { type Member, memberOf, type Node, prepended, type Splice, type Syntax, textOf, withoutFirst } from './syntax.ts';

export interface WrapTerms {
  readonly program: Program;
  /** The part before the slash in tool patterns. */
  readonly server: string;
  /** Absolute; undefined: the proxy looks for one itself. */
  readonly config: string | undefined;
}

/** What an entry is to us. `why` is for people. */
export type EntryState =
  | { readonly kind: 'wrapped'; readonly mark: Mark }
  /** Has our mark, but somebody changed what we wrote. */
  | { readonly kind: 'changed'; readonly why: string }
  | { readonly kind: 'stdio'; readonly command: Member; readonly args: Member | undefined }
  | { readonly kind: 'remote' }
  | { readonly kind: 'other'; readonly why: string };

interface Mark {
  readonly isBare: boolean;
  readonly server: string;
  readonly config: string | undefined;
  /** How many of `args` are ours; the last of them is the old command. */
  readonly count: number;
  readonly command: Member;
  readonly args: Member & { readonly value: Node & { readonly kind: 'list' } };
}

/** What tells where a remote server is. */
const ADDRESS_KEYS = ['url', 'serverUrl', 'httpUrl'] as const;
const SCRIPT = /[\\/]main\.(?:js|ts)$/;
const OURS = /(?:^|[\\/])(?:countersign(?:\.(?:cmd|exe|ps1))?|@countersign[\\/]cli(?:@[^\\/]*)?(?:[\\/].*)?)$/;

export function stateOf(entry: Node): EntryState {
  if (entry.kind !== 'table') return { kind: 'other', why: 'it is no table of settings' };
  const [command, args] = [memberOf(entry, 'command'), memberOf(entry, 'args')];
  const address = ADDRESS_KEYS.find((key) => memberOf(entry, key) !== undefined);
  if (command === undefined)
    return address === undefined ? { kind: 'other', why: 'it has neither a command nor a url' } : { kind: 'remote' };
  if (address !== undefined)
    return { kind: 'other', why: `it has both command and ${address}: which of them the client takes is not clear` };
  if (command.value.kind !== 'text' || command.value.value.trim() === '') return { kind: 'other', why: 'its command is not a text' };
  if (args !== undefined && textsOf(args) === undefined) return { kind: 'other', why: 'its args are not a list of texts' };
  return markedState(command, args) ?? { kind: 'stdio', command, args };
}

/** @param state - of the same entry in the same text. */
export function wrapEntry(
  text: string,
  state: EntryState & { readonly kind: 'stdio' },
  terms: WrapTerms,
  syntax: Syntax,
): readonly Splice[] {
  const { command, args } = state;
  const { program, server, config } = terms;
  const ours = [...ownWords({ program, server, config }, args === undefined), '--'].map((word) => syntax.quote(word));
  const items = [...ours, textOf(text, command.value)];
  const node = { start: command.value.start, end: command.value.end, text: syntax.quote(program.node) };
  if (args === undefined) return [node, syntax.insertAfter(text, command, [['args', `[${items.join(', ')}]`]])];
  // `textsOf` said that it is a list.
  return args.value.kind === 'list' ? [node, prepended(text, args.value, items)] : [];
}

/** The old entry, from what is in this one. */
export function unwrapEntry(text: string, { isBare, count, command, args }: Mark, syntax: Syntax): readonly Splice[] {
  const old = args.value.items[count - 1];
  if (old === undefined) return [];
  const restored = { start: command.value.start, end: command.value.end, text: textOf(text, old) };
  const removed = isBare && args.value.items.length === count ? syntax.removeAfter(text, command, args) : undefined;
  return [restored, removed ?? withoutFirst(text, args.value, count)];
}

/** Whether wrapping it again would change nothing. */
export function isCurrent(mark: Mark, terms: WrapTerms): boolean {
  const { value } = mark.command;
  if (value.kind !== 'text' || value.value !== terms.program.node) return false;
  const words = [...ownWords(terms, mark.isBare), '--'];
  const texts = textsOf(mark.args) ?? [];
  return mark.count === words.length + 1 && words.every((word, index) => texts[index] === word);
}

function ownWords({ program, server, config }: WrapTerms, isBare: boolean): readonly string[] {
  const kind = isBare ? 'stdio-bare' : 'stdio';
  return [...program.args, 'proxy', '--wrapped', kind, '--server', server, ...(config === undefined ? [] : ['--config', config])];
}

function markedState(command: Member, args: Member | undefined): EntryState | undefined {
  const words = args === undefined ? [] : (textsOf(args) ?? []);
  const at = words.findIndex((word, index) => word === '--wrapped' && words[index - 1] === 'proxy' && SCRIPT.test(words[index - 2] ?? ''));
  const end = words.indexOf('--');
  if (args === undefined || at < 0 || (end >= 0 && end < at)) {
    const all = [command.value.kind === 'text' ? command.value.value : '', ...words];
    const runsUs = all.some((word, index) => OURS.test(word) && all[index + 1] === 'proxy');
    return runsUs ? { kind: 'other', why: 'it runs `countersign proxy` already, written by hand' } : undefined;
  }
  const changed = (why: string): EntryState => ({ kind: 'changed', why });
  if (command.value.kind !== 'text' || !isAbsolute(command.value.value))
    return changed('its command is no longer the one that was written');
  if (!words.slice(0, at - 2).every((word) => word.startsWith('--'))) return changed('its args no longer begin with what was written');
  const [kind = '', serverFlag, server = '', ...more] = words.slice(at + 1);
  const config = more[0] === '--config' ? more[1] : undefined;
  const rest = more.slice(config === undefined ? 0 : 2);
  if (serverFlag !== '--server' || !['stdio', 'stdio-bare'].includes(kind) || rest[0] !== '--') {
    return changed('options were added to it or taken away');
  }
  if (rest[1] === undefined || args.value.kind !== 'list') return changed('the command of the server is gone');
  const count = words.length - rest.length + 2;
  return { kind: 'wrapped', mark: { isBare: kind === 'stdio-bare', server, config, count, command, args: { ...args, value: args.value } } };
}

/** Files of another system may be looked at too. */
function isAbsolute(path: string): boolean {
  return posix.isAbsolute(path) || win32.isAbsolute(path);
}

function textsOf({ value }: Member): readonly string[] | undefined {
  if (value.kind !== 'list') return undefined;
  const texts: string[] = [];
  for (const item of value.items) {
    if (item.kind !== 'text') return undefined;
    texts.push(item.value);
  }
  return texts;
}
