/**
 * What things of several servers are called to one client. Every name says which server it belongs to, so that none can be
 * mistaken for another server's, whatever a server calls its own:
 *
 *     tool `read_file` of `files`        files__read_file
 *     tool `réad` of `files`             files__r_ad_h5d2f81c09b6e4a73   (not MCP's characters, or too long for models)
 *     resource `file:///a` of `files`    countersign:files:file:///a
 *     task `t-1` of `files`              files__t-1
 *
 * The server is what stands before the first `__`, or between the first two colons: names of servers hold neither, and do not
 * end with `_`. The rest is the tool's own name. If that would not do as one, a short form of it: its acceptable beginning and
 * 64 bits of its hash. Own names that end like short forms get a short form too, so the two cannot meet.
 */
import { createHash } from 'node:crypto';

const SEPARATOR = '__';
const URI_SCHEME = 'countersign';
/** What model APIs take as the name of a tool; MCP itself allows 128. */
export const MAX_NAME_CHARS = 64;
const MARK = '_h';
const HASH_CHARS = 16;
const SHORT_FORM = /_h[0-9a-f]{16}$/;
const FOREIGN = /[^A-Za-z0-9_.-]/gu;

/** The name of a tool or prompt of a server, for the client. At most `MAX_NAME_CHARS`, of MCP's characters. */
export function outerName(server: string, name: string): string {
  const prefix = server + SEPARATOR;
  const plain = name.replace(FOREIGN, '_');
  if (plain === name && name !== '' && prefix.length + name.length <= MAX_NAME_CHARS && !SHORT_FORM.test(name)) return prefix + name;
  const hash = createHash('sha256').update(`countersign/tool-name/v1\0${name}`).digest('hex').slice(0, HASH_CHARS);
  return prefix + plain.slice(0, MAX_NAME_CHARS - prefix.length - MARK.length - HASH_CHARS) + MARK + hash;
}

export interface InnerName {
  readonly server: string;
  /** What the server calls it; of a short form, the form. */
  readonly name: string;
  readonly isShort: boolean;
}

/** The parts of a name for the client; undefined for one that `outerName` does not give. It is the client's to choose. */
export function innerName(outer: string): InnerName | undefined {
  const parts = split(outer);
  if (parts === undefined) return undefined;
  const { server, rest: name } = parts;
  const isShort = SHORT_FORM.test(name);
  // One spelling of each: what the decision is about is what the client was told.
  return isShort || outerName(server, name) === outer ? { server, name, isShort } : undefined;
}

function split(outer: string): { readonly server: string; readonly rest: string } | undefined {
  const at = outer.indexOf(SEPARATOR);
  return at < 1 ? undefined : { server: outer.slice(0, at), rest: outer.slice(at + SEPARATOR.length) };
}

/** The URI, or template of one, under which a client reads a resource of a server. Opaque, so that no reader tidies it up. */
export function outerUri(server: string, uri: string): string {
  return `${URI_SCHEME}:${server}:${uri}`;
}

/** Undefined for a URI that says no server. */
export function innerUri(outer: string): { readonly server: string; readonly uri: string } | undefined {
  if (!outer.startsWith(`${URI_SCHEME}:`)) return undefined;
  const start = URI_SCHEME.length + 1;
  const end = outer.indexOf(':', start);
  return end === -1 ? undefined : { server: outer.slice(start, end), uri: outer.slice(end + 1) };
}

/** Tasks are named by programs for programs: neither length nor characters matter. */
export function outerTask(server: string, taskId: string): string {
  return server + SEPARATOR + taskId;
}

export function innerTask(outer: string): { readonly server: string; readonly taskId: string } | undefined {
  const parts = split(outer);
  return parts === undefined ? undefined : { server: parts.server, taskId: parts.rest };
}
