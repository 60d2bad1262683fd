/**
 * One server of a client's list, and the same started through our proxy.
 *
 * `{ "command": "npx", "args": ["-y", "x"] }` becomes
 * `{ "command": "/abs/node", "args": ["/abs/main.js", "proxy", "--wrapped", "stdio", "--server", "files", "--config", "/abs/countersign.yaml", "--", "npx", "-y", "x"] }`.
 *
 * `proxy --wrapped KIND` is the mark by which an entry of ours is known; KIND says what has to come back: `stdio`, or
 * `stdio-bare` where there was no `args`, or what `remote-entry.ts` says. The old command moves as it is written and everything else stays where it is, so
 * `unwrapEntry` gives the old bytes back from the entry alone.
 */
import { posix, win32 } from 'node:path';
import type { Program } from './program.ts';
import {
  ADDRESS_KEYS,
  headerWords,
  type Remote,
  type RemoteMark,
  readRemoteMark,
  remoteKind,
  remoteOf,
  unwrapRemote,
  wrapRemote,
} from './remote-entry.ts';
import { type Member, memberOf, type Node, prepended, type Splice, type Syntax, textOf, withoutFirst } from './syntax.ts';

export interface WrapTerms {
  readonly program: Program;
  /** The part before the slash in tool patterns. */
  readonly server: string;
  /** Absolute; undefined: the proxy looks for one itself. */
  readonly config: string | undefined;
}

/** Where an entry stands, and how its client writes. */
export interface EntryContext {
  readonly text: string;
  readonly syntax: Syntax;
  /** What the client calls the headers of a remote server. */
  readonly headers: string;
}

/** What an entry is to us. `why` is for people. */
export type EntryState =
  | { readonly kind: 'wrapped'; readonly mark: Mark }
  /** Has our mark, but somebody changed what we wrote. */
  | { readonly kind: 'changed'; readonly why: string }
  | { readonly kind: 'stdio'; readonly command: Member; readonly args: Member | undefined }
  | { readonly kind: 'remote'; readonly remote: Remote }
  | { readonly kind: 'other'; readonly why: string };

interface Mark {
  readonly server: string;
  readonly config: string | undefined;
  readonly command: Member;
  readonly args: Member & { readonly value: Node & { readonly kind: 'list' } };
  /** How many of `args` were written by us. */
  readonly count: number;
  readonly was:
    | { readonly kind: 'stdio'; readonly isBare: boolean }
    | { readonly kind: 'remote'; readonly mark: RemoteMark; readonly entry: Node };
}

const SCRIPT = /[\\/]main\.(?:js|ts)$/;
const OURS = /(?:^|[\\/])(?:countersign(?:\.(?:cmd|exe|ps1))?|@countersign[\\/]cli(?:@[^\\/]*)?(?:[\\/].*)?)$/;

export function stateOf(entry: Node, context: EntryContext): EntryState {
  if (entry.kind !== 'table') return { kind: 'other', why: 'it is no table of settings' };
  const [command, args] = [memberOf(entry, 'command'), memberOf(entry, 'args')];
  const address = ADDRESS_KEYS.find((key) => memberOf(entry, key) !== undefined);
  if (command === undefined) {
    if (address === undefined) return { kind: 'other', why: 'it has neither a command nor a url' };
    const remote = remoteOf(context.text, entry, context.headers, context.syntax);
    return typeof remote === 'string' ? { kind: 'other', why: remote } : { kind: 'remote', remote };
  }
  if (address !== undefined)
    return { kind: 'other', why: `it has both command and ${address}: which of them the client takes is not clear` };
  if (command.value.kind !== 'text' || command.value.value.trim() === '') return { kind: 'other', why: 'its command is not a text' };
  if (args !== undefined && textsOf(args) === undefined) return { kind: 'other', why: 'its args are not a list of texts' };
  return markedState(entry, command, args, context) ?? { kind: 'stdio', command, args };
}

/** @param state - of the same entry in the same text. */
export function wrapEntry(
  state: EntryState & { readonly kind: 'stdio' | 'remote' },
  terms: WrapTerms,
  { text, syntax }: EntryContext,
): readonly Splice[] {
  const { node } = terms.program;
  const quoted = (words: readonly string[]): readonly string[] => words.map((word) => syntax.quote(word));
  if (state.kind === 'remote') {
    const { remote } = state;
    const transport = remote.isLegacy ? ['--transport', 'sse'] : [];
    const address = textOf(text, remote.address.value);
    const args = [...quoted([...ownWords(terms, remoteKind(remote)), '--url']), address, ...quoted([...transport, ...headerWords(remote)])];
    return wrapRemote(text, remote, node, args, syntax);
  }
  const { command, args } = state;
  const items = [...quoted([...ownWords(terms, args === undefined ? 'stdio-bare' : 'stdio'), '--']), textOf(text, command.value)];
  const started = { start: command.value.start, end: command.value.end, text: syntax.quote(node) };
  if (args === undefined) return [started, syntax.insertAfter(text, command, [['args', `[${items.join(', ')}]`]])];
  // `textsOf` said that it is a list.
  return args.value.kind === 'list' ? [started, prepended(text, args.value, items)] : [];
}

/** The old entry, from what is in this one. */
export function unwrapEntry({ was, count, command, args }: Mark, { text, syntax, headers }: EntryContext): readonly Splice[] {
  if (was.kind === 'remote') return unwrapRemote(text, was.entry, was.mark, headers, syntax) ?? [];
  const old = args.value.items[count - 1];
  if (old === undefined) return [];
  const restored = { start: command.value.start, end: command.value.end, text: textOf(text, old) };
  const removed = was.isBare && args.value.items.length === count ? syntax.removeAfter(text, command, args) : undefined;
  return [restored, removed ?? withoutFirst(text, args.value, count)];
}

/** Whether wrapping it again would change nothing. */
export function isCurrent(mark: Mark, terms: WrapTerms): boolean {
  const { value } = mark.command;
  if (value.kind !== 'text' || value.value !== terms.program.node) return false;
  const texts = textsOf(mark.args) ?? [];
  const kind = texts[texts.indexOf('--wrapped') + 1] ?? '';
  const words = [...ownWords(terms, kind), mark.was.kind === 'remote' ? '--url' : '--'];
  return words.every((word, index) => texts[index] === word);
}

function ownWords({ program, server, config }: WrapTerms, kind: string): readonly string[] {
  return [...program.args, 'proxy', '--wrapped', kind, '--server', server, ...(config === undefined ? [] : ['--config', config])];
}

function markedState(entry: Node, command: Member, args: Member | undefined, context: EntryContext): EntryState | undefined {
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
  const optionsChanged = changed('options were added to it or taken away');
  if (serverFlag !== '--server' || args.value.kind !== 'list') return optionsChanged;
  const mark = { server, config, command, args: { ...args, value: args.value } };
  if (kind === 'stdio' || kind === 'stdio-bare') {
    if (rest[0] !== '--') return optionsChanged;
    if (rest[1] === undefined) return changed('the command of the server is gone');
    return {
      kind: 'wrapped',
      mark: { ...mark, count: words.length - rest.length + 2, was: { kind: 'stdio', isBare: kind === 'stdio-bare' } },
    };
  }
  const remote = readRemoteMark(kind, words, words.length - rest.length);
  if (remote === undefined) return optionsChanged;
  if (unwrapRemote(context.text, entry, remote, context.headers, context.syntax) === undefined)
    return changed('its env or its args were changed');
  return { kind: 'wrapped', mark: { ...mark, count: words.length, was: { kind: 'remote', mark: remote, entry } } };
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
