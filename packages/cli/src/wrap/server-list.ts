/** All servers a file lists, wrapped or restored: from text to text, without a file. */

import { FileRefusedError } from '../failure.ts';
import { type EntryState, isCurrent, stateOf, unwrapEntry, type WrapTerms, wrapEntry } from './entry.ts';
import type { Program } from './program.ts';
import { mayLogIn } from './remote-entry.ts';
import { memberOf, type Node, type Splice, type Syntax, spliced } from './syntax.ts';

export interface ServerList {
  /** Of the file, for messages. */
  readonly path: string;
  readonly text: string;
  readonly syntax: Syntax;
  readonly sections: readonly (readonly string[])[];
  /** What the client calls the headers of a remote server. */
  readonly headers: string;
}

export interface ServerReport {
  readonly name: string;
  /** The project it was added for, where a file has lists for several; else undefined. */
  readonly project: string | undefined;
  readonly status: 'wrapped' | 'updated' | 'unchanged' | 'restored' | 'not-wrapped' | 'left-alone';
  /** Its name in tool patterns. */
  readonly server?: string;
  readonly config?: string;
  /** Why it is not wrapped, or was left alone. May quote the file: escape it. */
  readonly why?: string;
}

export interface Rewritten {
  readonly text: string;
  readonly servers: readonly ServerReport[];
}

export interface WrapRequest {
  readonly program: Program;
  readonly config: string | undefined;
  /** Without a configuration, an entry of ours keeps the one it names. Not for files that a repository brings along. */
  readonly keepsConfig: boolean;
  /** Names of servers; empty: all. */
  readonly only: readonly string[];
}

interface Entry {
  readonly name: string;
  readonly project: string | undefined;
  readonly state: EntryState;
}

/**
 * @param program - given: counts as wrapped only what starts this very program; anybody could have written a mark.
 * @throws {FileRefusedError} when the text does not parse, or a list is none.
 */
export function serversOf(
  list: ServerList,
  program?: Program,
): readonly { readonly name: string; readonly project: string | undefined; readonly isWrapped: boolean }[] {
  return entriesOf(list).map(({ name, project, state }) => ({
    name,
    project,
    isWrapped: state.kind === 'wrapped' && (program === undefined || isCurrent(state.mark, { ...state.mark, program })),
  }));
}

/** @throws {FileRefusedError} */
export function wrapServers(list: ServerList, request: WrapRequest): Rewritten {
  const before = entriesOf(list);
  const names = new Map(before.map((entry) => [entry, ruleName(entry.name)]));
  const terms = (entry: Entry, server: string): WrapTerms => {
    const kept = request.keepsConfig && entry.state.kind === 'wrapped' ? entry.state.mark.config : undefined;
    return { program: request.program, server, config: request.config ?? kept };
  };
  // What is wrapped already is unwrapped first: then there is one way to wrap, and doing it twice is doing it once.
  const chosen = before.filter(({ name }) => isChosen(name, request.only));
  const stale = chosen.filter((entry) => entry.state.kind === 'wrapped');
  const bare = spliced(
    list.text,
    stale.flatMap(({ state }) => (state.kind === 'wrapped' ? unwrapEntry(state.mark, list) : [])),
  );
  const fresh = entriesOf({ ...list, text: bare });
  const splices: Splice[] = [];
  const servers: ServerReport[] = [];
  for (const [index, entry] of before.entries()) {
    if (!chosen.includes(entry)) continue;
    const { name, project, state } = entry;
    const now = fresh[index]?.state;
    const server = names.get(entry);
    const twin = before.find((other) => other !== entry && other.project === project && names.get(other) === server);
    const skipped = reasonToSkip(state, server, twin, request.only.includes(name));
    if (skipped !== undefined || server === undefined || (now?.kind !== 'stdio' && now?.kind !== 'remote')) {
      servers.push({ name, project, ...(skipped ?? { status: 'not-wrapped', why: 'what it was before cannot be told' }) });
      continue;
    }
    const wanted = terms(entry, server);
    splices.push(...wrapEntry(now, wanted, { ...list, text: bare }));
    const status = state.kind !== 'wrapped' ? 'wrapped' : isCurrent(state.mark, wanted) ? 'unchanged' : 'updated';
    servers.push({ name, project, status, server, ...(wanted.config !== undefined && { config: wanted.config }) });
  }
  const text = spliced(bare, splices);
  checkInverse({ ...list, text }, bare, request.only);
  return { text, servers };
}

/** @throws {FileRefusedError} */
export function unwrapServers(list: ServerList, only: readonly string[]): Rewritten {
  const splices: Splice[] = [];
  const servers: ServerReport[] = [];
  for (const { name, project, state } of entriesOf(list)) {
    if (!isChosen(name, only)) continue;
    if (state.kind === 'changed')
      servers.push({ name, project, status: 'left-alone', why: `${state.why}: put it right by hand, or from the back-up` });
    if (state.kind !== 'wrapped') continue;
    splices.push(...unwrapEntry(state.mark, list));
    servers.push({ name, project, status: 'restored' });
  }
  const text = spliced(list.text, splices);
  list.syntax.parse(text, list.path);
  return { text, servers };
}

/** The text with values of environments and headers replaced, for a screen; a value that is one variable of the client stays. */
export function hiddenValues(list: ServerList): string {
  const { text, syntax } = list;
  const splices = tablesOf(list)
    .flatMap(({ node }) => (node.kind === 'table' ? node.members : []))
    .flatMap(({ value }) =>
      SECRET_MEMBERS.flatMap((key) => {
        const held = memberOf(value, key)?.value;
        return held?.kind === 'table' ? held.members.map((member) => member.value) : [];
      }),
    );
  const hidden = splices.filter((value) => !(value.kind === 'text' && /^\$\{[^}]*\}$/.test(value.value)));
  return spliced(
    text,
    hidden.flatMap((value) => (value.end > value.start ? [{ start: value.start, end: value.end, text: syntax.quote('[hidden]') }] : [])),
  );
}
const SECRET_MEMBERS = ['env', 'headers', 'http_headers'];

function isChosen(name: string, only: readonly string[]): boolean {
  return only.length === 0 || only.includes(name);
}

function reasonToSkip(
  state: EntryState,
  server: string | undefined,
  twin: Entry | undefined,
  isNamed: boolean,
): Pick<ServerReport, 'status' | 'why'> | undefined {
  if (state.kind === 'changed') return { status: 'left-alone', why: `${state.why}: unwrap it by hand, or give it the old args` };
  if (state.kind === 'other') return { status: 'not-wrapped', why: state.why };
  if (state.kind === 'remote' && !isNamed && mayLogIn(state.remote)) {
    return {
      status: 'not-wrapped',
      why: 'it is remote and sends no headers, so the client may have to log in, which it cannot once it is wrapped; with --server NAME it is wrapped all the same',
    };
  }
  if (server === undefined) return { status: 'not-wrapped', why: 'rules need a name with letters or digits: rename it' };
  if (twin !== undefined) {
    return { status: 'not-wrapped', why: `rules could not tell it from ${JSON.stringify(twin.name)}, both would be ${server}: rename one` };
  }
  return undefined;
}

/** What `proxy --server` takes: letters, digits and . _ - */
function ruleName(name: string): string | undefined {
  const cleaned = name
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replaceAll(/^[^A-Za-z0-9]+|-+$/g, '')
    .slice(0, MAX_NAME_CHARS);
  return cleaned === '' ? undefined : cleaned;
}
const MAX_NAME_CHARS = 64;

/** INVARIANT: what wrap writes, unwrap takes back to the byte. A defect here must not reach a file. */
function checkInverse(list: ServerList, bare: string, only: readonly string[]): void {
  if (unwrapServers(list, only).text !== bare) throw new Error(`wrapping ${list.path} could not be undone exactly, so nothing was changed`);
}

function entriesOf(list: ServerList): readonly Entry[] {
  return tablesOf(list).flatMap(({ node, project }) =>
    node.kind === 'table' ? node.members.map(({ key, value }) => ({ name: key, project, state: stateOf(value, list) })) : [],
  );
}

function tablesOf({ text, syntax, sections, path }: ServerList): ReturnType<typeof tablesAt> {
  const root = syntax.parse(text, path);
  return sections.flatMap((section) => tablesAt(root, section, path));
}

function tablesAt(
  node: Node,
  section: readonly string[],
  path: string,
  project?: string,
): readonly { readonly node: Node; readonly project: string | undefined }[] {
  const [key, ...rest] = section;
  if (key === undefined) return [{ node, project }];
  if (node.kind !== 'table') return [];
  if (key === '*') return node.members.flatMap((member) => tablesAt(member.value, rest, path, member.key));
  const member = memberOf(node, key);
  if (member === undefined) return [];
  if (rest.length === 0 && member.value.kind !== 'table')
    throw new FileRefusedError(`${path}: ${key} is not a table of servers`, 'correct the file');
  return tablesAt(member.value, rest, path, project);
}
