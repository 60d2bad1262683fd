/** Events as Claude Code writes them, and hooks that get them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { folder, type Ran, run } from '../harness.ts';

const RULES = `
  default: deny
  rules:
    - { id: ls, tools: ["claude-code/Bash"], when: "args.command.startsWith('ls')", effect: allow }
    - { id: curl, tools: ["claude-code/Bash"], when: "args.command.startsWith('curl')", effect: require_approval, reason: leaves the machine }
    - { id: edits, tools: ["claude-code/Edit", "claude-code/Write", "claude-code/Read"], effect: allow }
    - { id: files, tools: ["files/read_*"], effect: allow }
    - { id: secrets, on: result, tools: ["*"], when: "result.text.contains('WITHHOLD')", effect: withhold }
    - { id: masks, on: result, tools: ["*"], when: "result.text.contains('MASK')", effect: mask, label: [seen] }
`;

/** A folder with a configuration whose rules are those above. */
export async function hooked(mode = 'enforce'): Promise<string> {
  const cwd = folder();
  await run(['init', '--agent', 'bot'], { cwd });
  const path = join(cwd, 'countersign.yaml');
  const text = readFileSync(path, 'utf8').replace('mode: audit', `mode: ${mode}`);
  writeFileSync(path, text.replace(/policy:\n[\s\S]*?\nbudgets:/, `policy:\n  id: hooks\n  version: "1"${RULES}\nbudgets:`));
  return cwd;
}

export interface Event {
  readonly hook_event_name?: unknown;
  readonly session_id?: unknown;
  readonly tool_name?: unknown;
  readonly tool_input?: unknown;
  readonly tool_use_id?: unknown;
  readonly [more: string]: unknown;
}

export function eventText(event: Event): string {
  const common = { session_id: 'c0ffee', transcript_path: '/tmp/t.jsonl', permission_mode: 'default', hook_event_name: 'PreToolUse' };
  return JSON.stringify({ ...common, tool_name: 'Bash', tool_input: { command: 'ls' }, tool_use_id: 'toolu_1', ...event });
}

export interface HookRan extends Ran {
  /** `hookSpecificOutput` of the answer, if there is one. */
  readonly said: Record<string, unknown> | undefined;
}

export async function hook(cwd: string, event: Event | Buffer, options: readonly string[] = []): Promise<HookRan> {
  const bytes = Buffer.isBuffer(event) ? event : Buffer.from(eventText({ cwd, ...event }));
  const ran = await run(['hook', 'claude-code', '--config', join(cwd, 'countersign.yaml'), ...options], {
    cwd,
    stdin: Readable.from([bytes]),
  });
  return { ...ran, said: ran.stdout === '' ? undefined : JSON.parse(ran.stdout).hookSpecificOutput };
}

/** Before and after one call. */
export async function both(cwd: string, event: Event, response: unknown): Promise<HookRan> {
  await hook(cwd, event);
  return hook(cwd, { ...event, hook_event_name: 'PostToolUse', tool_response: response });
}
