/** One hook of Claude Code, from its input to its answer. Whatever goes wrong is a deny; nothing here throws. */
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { CountersignError, type ToolCall } from '@countersign/core';
import { after } from './after.ts';
import { type Answer, type Wire, wireOf } from './answer.ts';
import { type BeforeOptions, before } from './before.ts';
import { EventError, type HookEvent, MAX_INPUT_BYTES, parseEvent } from './event.ts';
import { openHookGuard } from './guard.ts';
import { toolOf } from './tool-name.ts';

/** The client writes its input at once and closes the pipe. */
const READ_TIMEOUT_MS = 10_000;

export interface HookOptions extends BeforeOptions {
  readonly stdin: Readable;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Undefined: nobody named one. */
  readonly config: string | undefined;
  readonly agent: string | undefined;
  readonly denyAs: 'exit' | 'json';
  readonly mcpServers: readonly string[];
  /** MCP servers whose calls a proxy of ours decides. */
  readonly proxied: readonly string[];
  readonly program: string | undefined;
  /** Pid of the client; undefined: nobody is to be known for one. */
  readonly client: number | undefined;
  /** For the client's debug log. */
  readonly note: (text: string) => void;
}

export async function claudeCodeHook(options: HookOptions): Promise<Wire> {
  let event: HookEvent | undefined;
  try {
    event = parseEvent(await readAll(options.stdin));
    return wireOf(await answerTo(event, options), event.name, options.denyAs);
  } catch (error) {
    return wireOf({ kind: 'deny', reason: failureText(error, event) }, event?.name ?? 'PreToolUse', options.denyAs);
  }
}

async function answerTo(event: HookEvent, options: HookOptions): Promise<Answer> {
  const tool = toolOf(event.toolName, options.mcpServers);
  if ('fault' in tool) throw new EventError(tool.fault);
  if (options.proxied.includes(tool.server)) return { kind: 'silent' };
  const { config, env, agent } = options;
  // Never the one of the folder the agent went to: that one it could have written.
  if (config === undefined) throw new EventError('no configuration is named: pass --config FILE, or set COUNTERSIGN_CONFIG');
  const hook = await openHookGuard({
    configPath: resolve(options.cwd, config),
    env: agent === undefined ? env : { ...env, COUNTERSIGN_AGENT: agent },
    cwd: event.cwd,
    program: options.program,
    client: options.client,
    onError: (error, during) => options.note(`countersign: ${during}: ${messageOf(error)}`),
  });
  const call: ToolCall = { tool, args: event.toolInput, session: event.session, id: event.toolUseId };
  try {
    return event.name === 'PreToolUse' ? await before(call, hook.guard, options) : await after(event, call, hook.guard);
  } finally {
    await hook.close();
  }
}

async function readAll(stdin: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => stdin.destroy(new EventError("the hook's input did not end in time")), READ_TIMEOUT_MS);
  try {
    for await (const chunk of stdin) {
      const bytes = Buffer.from(chunk as Uint8Array);
      size += bytes.length;
      if (size > MAX_INPUT_BYTES) throw new EventError(`the hook's input is larger than ${MAX_INPUT_BYTES} bytes`);
      chunks.push(bytes);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
}

/** The model reads this: where files lie goes to the log alone. */
function failureText(error: unknown, event: HookEvent | undefined): string {
  const what = event === undefined || event.name === 'PreToolUse' ? 'this call did not run' : 'how this call ended is not on record';
  if (error instanceof EventError) return `countersign: ${what}: ${error.message}`;
  const code = CountersignError.is(error) ? error.code : 'INTERNAL_ERROR';
  return `countersign: ${what}: the guard could not be used [${code}]. Tell the person you work for; countersign doctor says what is wrong`;
}

function messageOf(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${error instanceof Error ? error.message : 'unknown error'}${code}`;
}
