/**
 * Reads one line of the client. Everything in it is the client's, and the client acts for the agent: what two readers
 * could understand differently is refused here, before anyone decides about it.
 */
import type { ClientResponse } from './approval/own-requests.ts';
import { type Flaw, type FlawKind, scanJson } from './json-scan.ts';
import { lookalike } from './lookalike.ts';
import { idKey, isObject, type JsonObject, MAX_ID_CHARS, member, RPC_ERRORS } from './message.ts';
import { plainJson } from './plain-json.ts';

export const MAX_TOOL_NAME_CHARS = 256;
const CALL_METHOD = 'tools/call';
const CALL_METHODS: ReadonlySet<string> = new Set([CALL_METHOD]);

/** Why a message was refused before it was decided. */
export type InvalidCode =
  | 'not-utf8'
  | 'not-json'
  | 'too-deep'
  | 'carriage-return'
  | 'batch'
  | 'not-object'
  | 'too-large'
  | FlawKind
  | 'method-invalid'
  | 'id-missing'
  | 'id-invalid'
  | 'id-in-use'
  | 'params-invalid'
  | 'arguments-invalid'
  | 'name-invalid'
  | 'too-many-requests'
  | 'header-mismatch';

export interface InvalidMessage {
  readonly kind: 'invalid';
  readonly code: InvalidCode;
  /** Names the problem, never the content. */
  readonly text: string;
  readonly rpcCode: number;
  /** The id to answer under, as JSON; absent = nothing is answered (a notification). */
  readonly idJson?: string;
  /** True unless it certainly was something else than a `tools/call`. */
  readonly couldBeCall: boolean;
  /** Name of the tool, if one could be read. */
  readonly tool?: string;
}

export interface CallMessage {
  readonly kind: 'call';
  readonly key: string;
  /** The id exactly as written. */
  readonly idJson: string;
  readonly tool: string;
  readonly args: JsonObject;
  /** Everything the call says, `arguments` included. */
  readonly params: JsonObject;
  /** Task-augmented: the client expects a task, and a tool result fails its schema. */
  readonly task: boolean;
  /** Sent under the stateless protocol (2026-07-28), where results carry `resultType`. */
  readonly stateless: boolean;
}

export type ClientMessage =
  | InvalidMessage
  | CallMessage
  | {
      readonly kind: 'request';
      readonly key?: string;
      readonly idJson: string;
      readonly method: string;
      readonly params?: unknown;
      readonly taskId?: string;
    }
  | { readonly kind: 'cancel'; readonly key?: string }
  /** The answer to a request of the server's, or of ours. */
  | ({ readonly kind: 'response' } & ClientResponse)
  /** Notifications, blank lines: passed on unseen. */
  | { readonly kind: 'other' };

const BLANK = /^[ \t\r]*$/;

/** What stands around a message: a line end, so that none may stand inside, or the body of an exchange. */
export type Framing = 'lines' | 'bodies';

/** @param content - a line without its terminator, or a whole body. */
export function readClientMessage(content: Buffer, framing: Framing = 'lines'): ClientMessage {
  if (content.length < 64 && BLANK.test(content.toString('latin1'))) return { kind: 'other' };
  // In which there is no carriage return either: it would have to be escaped.
  const plain = plainJson(content);
  if (plain !== undefined) return readEnvelope(plain.value, plain.idJson, []);
  // JSON counts CR as space, but Python's text streams and Node's readline end a line there: they would see another message inside.
  if (framing === 'lines' && content.includes(0x0d))
    return unreadable('carriage-return', 'message holds a carriage return; a message is one line');
  const scan = scanJson(content);
  if (!scan.ok) return unreadable(scan.fault, `message is ${FAULT_TEXTS[scan.fault]} at byte ${scan.offset}`);
  if (scan.topLevel === 'array') return unreadable('batch', 'batches are not accepted; send each message on its own line');
  if (scan.topLevel === 'scalar') return unreadable('not-object', 'message is not a JSON object');
  const message: unknown = JSON.parse(content.toString('utf8'));
  if (!isObject(message)) return unreadable('not-object', 'message is not a JSON object');
  const idJson = scan.id === undefined ? undefined : content.toString('utf8', scan.id.start, scan.id.end);
  return readEnvelope(message, idJson, scan.flaws);
}

const FAULT_TEXTS = { 'not-utf8': 'not valid UTF-8', 'not-json': 'not valid JSON', 'too-deep': 'nested too deeply' } as const;

function readEnvelope(message: JsonObject, idJson: string | undefined, flaws: readonly Flaw[]): ClientMessage {
  const ambiguous = flaws.find((flaw) => flaw.zone === 'top');
  if (ambiguous !== undefined) return unreadable(ambiguous.kind, `${FLAW_TEXTS[ambiguous.kind]} in the message`);
  const id = member(message, 'id');
  const method = member(message, 'method');
  const params = member(message, 'params');
  const answerId = typeof id === 'number' || typeof id === 'string' ? idJson : idJson === undefined ? undefined : 'null';
  const invalid = invalidWith(answerId, toolNameOf(params));

  if (method === undefined) {
    if (idJson === undefined) return { kind: 'other' };
    const told = ['result', 'error'].filter((name) => Object.hasOwn(message, name)).map((name) => [name, message[name]]);
    return { kind: 'response', id, isSound: flaws.length === 0, ...Object.fromEntries(told) };
  }
  if (typeof method !== 'string') return invalid('method-invalid', 'method is not a string', true);
  if (lookalike(method, CALL_METHODS) !== undefined) return invalid('method-invalid', 'method looks like tools/call but is not', true);
  const doubtful = flaws.find((flaw) => flaw.zone === 'params' && (flaw.kind === 'duplicate-key' || flaw.kind === 'proto-key'));
  if (doubtful !== undefined) return invalid(doubtful.kind, `${FLAW_TEXTS[doubtful.kind]} in params`, method === CALL_METHOD);

  if (method === CALL_METHOD) return readCall(params, id, idJson, flaws, invalid);
  const key = idKey(id);
  if (idJson !== undefined) {
    const taskId = isObject(params) ? member(params, 'taskId') : undefined;
    return {
      kind: 'request',
      idJson,
      method,
      ...(key !== undefined && { key }),
      ...(params !== undefined && { params }),
      ...(typeof taskId === 'string' && { taskId }),
    };
  }
  if (method !== 'notifications/cancelled' || !isObject(params)) return { kind: 'other' };
  const cancelled = idKey(member(params, 'requestId'));
  return { kind: 'cancel', ...(cancelled === undefined ? {} : { key: cancelled }) };
}

function readCall(params: unknown, id: unknown, idJson: string | undefined, flaws: readonly Flaw[], invalid: InvalidWith): ClientMessage {
  if (idJson === undefined) return invalid('id-missing', 'tools/call without an id; nobody would learn its result', true);
  const flaw = flaws.find(({ kind, zone }) => kind !== 'lossy-number' || zone === 'params' || zone === 'inside-params');
  if (flaw !== undefined) return invalid(flaw.kind, `${FLAW_TEXTS[flaw.kind]} in a tools/call`, true);
  const key = idKey(id);
  if (key === undefined || (typeof id === 'number' && !/^-?\d+$/.test(idJson))) {
    return invalid('id-invalid', `id of a tools/call is not an integer or a string of at most ${MAX_ID_CHARS} characters`, true);
  }
  if (!isObject(params)) return invalid('params-invalid', 'params of a tools/call is not an object', true);
  const tool = member(params, 'name');
  if (typeof tool !== 'string' || !isToolName(tool)) {
    return invalid(
      'name-invalid',
      `name of a tool is not a string of 1 to ${MAX_TOOL_NAME_CHARS} characters without control characters`,
      true,
    );
  }
  const args = Object.hasOwn(params, 'arguments') ? params['arguments'] : {};
  if (!isObject(args)) return invalid('arguments-invalid', 'arguments of a tools/call is not an object', true);
  const meta = member(params, '_meta');
  const stateless = isObject(meta) && Object.hasOwn(meta, 'io.modelcontextprotocol/protocolVersion');
  return { kind: 'call', key, idJson, tool, args, params, task: Object.hasOwn(params, 'task'), stateless };
}

/**
 * The call with other arguments, as one line: written once, from what was read, and nothing of the bytes that were received.
 * Members beside those of JSON-RPC are left out; everything else in `params` stays.
 *
 * @param args - arguments that a person edited and the guard decided on.
 */
export function rewrittenCall(call: CallMessage, args: unknown): Buffer {
  const params = JSON.stringify({ ...call.params, arguments: args });
  return Buffer.from(`{"jsonrpc":"2.0","id":${call.idJson},"method":"${CALL_METHOD}","params":${params}}\n`);
}

/** What MCP asks of arguments. For those that a person edited: they come from no message. */
export function requireArguments(args: unknown): unknown {
  if (!isObject(args)) throw new TypeError('arguments of a tools/call are not an object');
  return args;
}

const FLAW_TEXTS = {
  'duplicate-key': 'a key is repeated',
  'proto-key': 'a key is __proto__',
  'lookalike-key': 'a key differs from a reserved one only in case or invisible characters',
  'lossy-number': 'a number does not fit a double exactly',
  'lone-surrogate': 'a string holds half a surrogate pair',
} as const;

type InvalidWith = (code: InvalidCode, text: string, couldBeCall: boolean) => InvalidMessage;

function invalidWith(idJson: string | undefined, tool: string | undefined): InvalidWith {
  return (code, text, couldBeCall) => ({
    kind: 'invalid',
    code,
    text,
    rpcCode:
      code.startsWith('params') || code.startsWith('arguments') || code.startsWith('name')
        ? RPC_ERRORS.INVALID_PARAMS
        : RPC_ERRORS.INVALID_REQUEST,
    couldBeCall,
    ...(idJson === undefined ? {} : { idJson }),
    ...(tool === undefined ? {} : { tool }),
  });
}

/** A message of which not even the id is certain. */
export function unreadable(code: InvalidCode, text: string): InvalidMessage {
  const parse = code === 'not-utf8' || code === 'not-json' || code === 'too-deep' || code === 'carriage-return';
  return { kind: 'invalid', code, text, rpcCode: parse ? RPC_ERRORS.PARSE : RPC_ERRORS.INVALID_REQUEST, idJson: 'null', couldBeCall: true };
}

function toolNameOf(params: unknown): string | undefined {
  const name = isObject(params) ? member(params, 'name') : undefined;
  return typeof name === 'string' && isToolName(name) ? name : undefined;
}

/** Whether a call may name it. Lone surrogates are no name either: they cannot be written to a ledger. */
export function isToolName(name: string): boolean {
  return name.length > 0 && name.length <= MAX_TOOL_NAME_CHARS && name.isWellFormed() && !/\p{Cc}/u.test(name);
}
