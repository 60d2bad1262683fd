/**
 * Reads one line of the server. Everything in it is the server's, and it may be written to be read differently by the
 * client and by the ledger: what could be a response to two readers, but not the same one, is told apart here.
 *
 * Whether a line can be a response is asked of its decoded keys, never of its bytes: `"\u0069d"` is the key `id`.
 */
import { isUtf8 } from 'node:buffer';
import type { Framing } from './client-message.ts';
import { rewriteJson } from './json-rewrite.ts';
import { type Flaw, scanJson } from './json-scan.ts';
import { lookalike } from './lookalike.ts';
import { excerptId, hasEnded, idKey, isObject, type JsonObject, member } from './message.ts';
import { plainJson } from './plain-json.ts';
import { EXCERPT_BYTES } from './wire.ts';

/** What a server's message says about a request of the client. */
export interface ServerResponse {
  /** `undefined` if there is none. */
  readonly id: unknown;
  /** Absent for ids the proxy does not follow. */
  readonly key?: string;
  readonly result?: unknown;
  readonly error?: unknown;
}

export type ServerMessage =
  /** Requests, notifications, blank lines, noise: passed on unseen. `ended`: tasks of which it tells the result. */
  | { readonly kind: 'other'; readonly ended?: readonly string[] }
  /** One response, or a batch with at least one. */
  | {
      readonly kind: 'responses';
      readonly responses: readonly ServerResponse[];
      /** A key below the top is repeated: readers differ in which value counts. */
      readonly repeatsKeys: boolean;
    }
  /** Could be a response, or a part of one, but two readers could read it differently. */
  | {
      readonly kind: 'unclear';
      /** Names the problem, never the content. */
      readonly problem: string;
      /** Those that could be told. */
      readonly responses: readonly ServerResponse[];
    };

/** Keys that decide what a message of the server is, and so must be spelt in one way only. */
const SERVER_KEYS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'result', 'error']);
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;
const CR = 0x0d;

/** @param line - a line without its terminator, or a whole body. Never throws. */
export function readServerMessage(line: Buffer, framing: Framing = 'lines'): ServerMessage {
  const content = trim(line);
  const plain = plainJson(content, SERVER_KEYS);
  if (plain !== undefined) return readMessages([plain.value], () => []);
  const text = content.toString('utf8');
  if (!isUtf8(content)) return unreadable(content, text, 'not valid UTF-8');
  // Python's text streams and Node's readline end a line at a carriage return.
  if (framing === 'lines' && content.includes(CR)) return unreadable(content, text, 'more than one line to some readers');
  const parsed = parse(text);
  if (parsed === undefined) return unreadable(content, text, 'not valid JSON');
  const messages = (Array.isArray(parsed.value) ? parsed.value : [parsed.value]).filter(isObject);
  return readMessages(messages, () => flawsOf(content));
}

/** @param flaws - of the text; a text that nobody takes for an answer may have any. */
function readMessages(messages: readonly JsonObject[], flaws: () => Flaws): ServerMessage {
  const ended = messages.flatMap(taskEndedIn);
  const possible = messages.filter(canBeResponse);
  if (possible.length === 0) return ended.length === 0 ? { kind: 'other' } : { kind: 'other', ended };
  const answers = readAnswers(possible, flaws());
  // Batches are of an era that had no tasks.
  return answers.kind === 'responses' && ended.length > 0
    ? { kind: 'unclear', problem: 'the result of a task beside an answer', responses: answers.responses }
    : answers;
}

/** The task of which a notification tells the result (2026, `io.modelcontextprotocol/tasks`). */
function taskEndedIn(message: JsonObject): readonly string[] {
  const params = member(message, 'method') === 'notifications/tasks' ? member(message, 'params') : undefined;
  const taskId = isObject(params) && hasEnded(params) ? member(params, 'taskId') : undefined;
  return typeof taskId === 'string' ? [taskId] : [];
}

/** Without what hides nothing: a byte order mark before the message, carriage returns after it. */
function trim(line: Buffer): Buffer {
  let end = line.length;
  while (end > 0 && line[end - 1] === CR) end -= 1;
  const start = BYTE_ORDER_MARK.every((byte, i) => line[i] === byte) ? BYTE_ORDER_MARK.length : 0;
  return start === 0 && end === line.length ? line : line.subarray(start, end);
}

function parse(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** True unless every reader takes the message for something else, whatever case it reads keys in. */
function canBeResponse(message: JsonObject): boolean {
  let [hasId, hasOtherMethod] = [false, false];
  for (const key of Object.keys(message)) {
    const like = lookalike(key, SERVER_KEYS);
    const name = like ?? key;
    if (name === 'result' || name === 'error') return true;
    hasId ||= name === 'id';
    hasOtherMethod ||= like === 'method';
  }
  // Go's readers know a response by its missing or empty method, and take one without a result for an empty result.
  const method = member(message, 'method');
  return hasId && (hasOtherMethod || typeof method !== 'string' || method === '');
}

type Flaws = readonly Flaw[] | 'too-deep' | 'not-json';

function flawsOf(content: Buffer): Flaws {
  const scan = scanJson(content, SERVER_KEYS);
  if (scan.ok) return scan.flaws;
  return scan.fault === 'too-deep' ? 'too-deep' : 'not-json';
}

/** @param messages - that can be responses. */
function readAnswers(messages: readonly JsonObject[], flaws: Flaws): ServerMessage {
  const responses = messages.map(readResponse);
  const unclear = (problem: string): ServerMessage => ({ kind: 'unclear', problem, responses });
  if (typeof flaws === 'string') return unclear(flaws === 'too-deep' ? 'nested too deeply' : 'not valid JSON');
  if (flaws.some(({ zone }) => zone === 'top')) return unclear('a key is repeated or looks like a reserved one');
  if (!messages.every(isClear)) return unclear('neither clearly a result nor clearly an error');
  return { kind: 'responses', responses, repeatsKeys: flaws.some(({ kind }) => kind === 'duplicate-key') };
}

/** Some servers send both members, one of them null: then the other one counts to every reader. */
function isClear(message: JsonObject): boolean {
  if (Object.hasOwn(message, 'method')) return false;
  const [hasResult, hasError] = [Object.hasOwn(message, 'result'), Object.hasOwn(message, 'error')];
  if (hasResult !== hasError) return true;
  return hasResult && (message['result'] === null) !== (message['error'] === null);
}

function readResponse(message: JsonObject): ServerResponse {
  const id = member(message, 'id');
  const key = idKey(id);
  const [result, error] = [member(message, 'result'), member(message, 'error')];
  const failed = Object.hasOwn(message, 'error') && (error !== null || !Object.hasOwn(message, 'result'));
  return { id, ...(key === undefined ? {} : { key }), ...(failed ? { error } : { result }) };
}

const STRUCTURE = /["{}]/;
/** A character that stands in no JSON text outside a string. */
const PROSE = /[^\s\d[\],:.+Etruefalsn-]/;

/**
 * A reader that takes JSON values from a stream sees no lines: several unreadable ones may be one message to it. Only
 * what no such reader gets past, or what says nothing, is noise.
 */
function unreadable(content: Buffer, text: string, problem: string): ServerMessage {
  if (!STRUCTURE.test(text) && (PROSE.test(text) || text.trim() === '')) return { kind: 'other' };
  const idJson = excerptId(content.subarray(0, EXCERPT_BYTES), content.subarray(-EXCERPT_BYTES));
  const id: unknown = idJson === undefined ? undefined : JSON.parse(idJson);
  const key = idKey(id);
  return { kind: 'unclear', problem, responses: key === undefined ? [] : [{ id, key }] };
}

/** A line with answers in which something was masked: their values changed, nothing else. */
export function withAnswers(line: Buffer, masked: readonly ServerResponse[]): Buffer {
  const text = line.toString('utf8');
  const answers = new Map(masked.map((answer) => [answer.key, answer]));
  const before: unknown = JSON.parse(text.replace(/^\ufeff+/, ''));
  const changed = (item: unknown): unknown => {
    const answer = isObject(item) ? answers.get(idKey(member(item, 'id'))) : undefined;
    if (!isObject(item) || answer === undefined) return item;
    // Of a result and an error, one of them null, only the other one was read.
    const { result, error } = answer;
    // An error in place of a result: then nothing of the result may stay.
    const { result: before, ...rest } = item;
    const isMoved = error !== undefined && result === undefined && before !== undefined && before !== null;
    return { ...(isMoved ? rest : item), ...(result !== undefined && { result }), ...(error !== undefined && { error }) };
  };
  return Buffer.from(rewriteJson(text, before, Array.isArray(before) ? before.map(changed) : changed(before)));
}
