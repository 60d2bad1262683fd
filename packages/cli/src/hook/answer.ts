/** What a hook answers, and how Claude Code is told: an exit code, and for some answers one JSON object on standard output. */
import type { HookEventName } from './event.ts';

/** Blocks a tool call, whatever the version; anything else but 0 lets it run. */
export const DENY_EXIT = 2;

export type Answer =
  /** Nothing to say: Claude Code's own permission rules decide on, as if there were no hook. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'allow'; readonly reason: string; readonly updatedInput?: unknown }
  | { readonly kind: 'deny'; readonly reason: string }
  /** In place of what a tool brought. `output` has the shape of what it brought. */
  | { readonly kind: 'replace'; readonly output: unknown; readonly isMcp: boolean; readonly context?: string }
  /** For the model, beside what a tool brought. */
  | { readonly kind: 'context'; readonly text: string };

export interface Wire {
  readonly exitCode: 0 | typeof DENY_EXIT;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param denyAs - `json`: also as a JSON answer, for clients whose model stops at an exit code. */
export function wireOf(answer: Answer, event: HookEventName, denyAs: 'exit' | 'json' = 'exit'): Wire {
  switch (answer.kind) {
    case 'silent':
      return { exitCode: 0, stdout: '', stderr: '' };
    case 'allow': {
      const { reason, updatedInput } = answer;
      const more = updatedInput === undefined ? {} : { updatedInput };
      return spoken({ hookEventName: event, permissionDecision: 'allow', permissionDecisionReason: reason, ...more });
    }
    case 'deny': {
      // The exit code blocks also where nobody reads the answer.
      const said = { hookEventName: event, permissionDecision: 'deny', permissionDecisionReason: answer.reason };
      const stdout = denyAs === 'json' && event === 'PreToolUse' ? spoken(said).stdout : '';
      return { exitCode: DENY_EXIT, stdout, stderr: `${answer.reason}\n` };
    }
    case 'replace': {
      const { output, isMcp, context } = answer;
      const more = context === undefined ? {} : { additionalContext: context };
      // Older clients know the second name only, for MCP tools only.
      return spoken({ hookEventName: event, updatedToolOutput: output, ...(isMcp && { updatedMCPToolOutput: output }), ...more });
    }
    case 'context':
      return spoken({ hookEventName: event, additionalContext: answer.text });
  }
}

function spoken(hookSpecificOutput: Readonly<Record<string, unknown>>): Wire {
  return { exitCode: 0, stdout: `${JSON.stringify({ hookSpecificOutput })}\n`, stderr: '' };
}
