/**
 * What Claude Code tells a hook: one JSON object on standard input.
 *
 *     {"session_id":"abc","transcript_path":"/…","cwd":"/srv/work","permission_mode":"default","hook_event_name":"PreToolUse",
 *      "tool_name":"Bash","tool_input":{"command":"npm test"},"tool_use_id":"toolu_01"}
 *
 * The model chose `tool_input`, and names of MCP tools come from their servers. JSON that two readers could read differently is
 * refused: what is decided here must be what runs over there. Members that are not known are left alone.
 */
import { strictJson } from '@countersign/core';

/** Longest input that is read. A tool's response may hold a whole file. */
export const MAX_INPUT_BYTES: number = 32 * 1_048_576;
/** Deepest input that is read. */
const MAX_DEPTH = 256;

export const HOOK_EVENTS = ['PreToolUse', 'PostToolUse', 'PostToolUseFailure'] as const;
export type HookEventName = (typeof HOOK_EVENTS)[number];

export interface HookEvent {
  readonly name: HookEventName;
  readonly session: string;
  /** Where the client works: what relative paths of its tools are relative to. */
  readonly cwd: string | undefined;
  readonly toolName: string;
  readonly toolInput: Readonly<Record<string, unknown>>;
  readonly toolUseId: string;
  /** Of `PostToolUse`. */
  readonly response: unknown;
  /** Of `PostToolUseFailure`. */
  readonly error: string;
  /** The failure is that somebody stopped it. */
  readonly isInterrupt: boolean;
}

/** The input is not what a hook is given. */
export class EventError extends Error {
  override readonly name: string = 'EventError';
}

/** @throws {EventError} */
export function parseEvent(bytes: Uint8Array): HookEvent {
  if (bytes.length > MAX_INPUT_BYTES) throw new EventError(`the hook's input is larger than ${MAX_INPUT_BYTES} bytes`);
  const parsed = strictJson(bytes, MAX_DEPTH);
  if (parsed === undefined)
    throw new EventError(
      `the hook's input is not one JSON text that everybody reads alike (UTF-8, no name twice, at most ${MAX_DEPTH} deep)`,
    );
  const { value } = parsed;
  if (!isObject(value)) throw new EventError("the hook's input is not a JSON object");
  const name = HOOK_EVENTS.find((known) => known === own(value, 'hook_event_name'));
  if (name === undefined) throw new EventError(`hook_event_name is none of ${HOOK_EVENTS.join(', ')}: install this hook for those alone`);
  const toolInput = own(value, 'tool_input');
  if (!isObject(toolInput)) throw new EventError('tool_input is not an object');
  const cwd = own(value, 'cwd');
  const error = own(value, 'error');
  return {
    name,
    session: text(value, 'session_id'),
    cwd: typeof cwd === 'string' && cwd !== '' ? cwd : undefined,
    toolName: text(value, 'tool_name'),
    toolInput,
    toolUseId: text(value, 'tool_use_id'),
    response: own(value, 'tool_response'),
    error: typeof error === 'string' ? error : 'the tool failed',
    isInterrupt: own(value, 'is_interrupt') === true,
  };
}

function text(value: Readonly<Record<string, unknown>>, member: string): string {
  const found = own(value, member);
  if (typeof found !== 'string' || found === '') throw new EventError(`${member} is missing, or is no text`);
  return found;
}

function own(value: Readonly<Record<string, unknown>>, member: string): unknown {
  return Object.hasOwn(value, member) ? value[member] : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
