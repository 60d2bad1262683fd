/** After a tool ran: how it ended is recorded, and rules on results have their say as far as Claude Code lets a hook. */
import type { Guard, Outcome, RanInstead, Released, ToolCall } from '@countersign/core';
import type { Answer } from './answer.ts';
import type { HookEvent } from './event.ts';
import { inShapeOf } from './replacement.ts';
import { OWN_SERVER } from './tool-name.ts';

export async function after(event: HookEvent, call: ToolCall, guard: Guard): Promise<Answer> {
  const outcome = outcomeOf(event);
  const taken = await guard.takeOver(call);
  switch (taken.kind) {
    case 'permit':
      return released(await taken.permit.release(outcome, { durable: true }), event, call);
    case 'settled':
      // Told twice: the first word stands.
      return { kind: 'silent' };
    case 'changed':
    case 'refused':
      return ranInstead(event, call, guard, { call: taken.callId, was: taken.kind });
    case 'unknown':
      return ranInstead(event, call, guard, undefined);
  }
}

/** It ran, and nobody allowed it: on record as that, and its result is not for the model. */
async function ranInstead(event: HookEvent, call: ToolCall, guard: Guard, of: RanInstead | undefined): Promise<Answer> {
  const run = await guard.recordRun(call, 'client', of);
  await run.ended(outcomeOf(event));
  if (guard.mode === 'audit' && run.isRecorded) return { kind: 'silent' };
  const text = `[${TEXTS[of?.was ?? 'unknown']} It is on record as that${run.isRecorded ? '' : ' nowhere: the ledger could not be written'}, and what it brought is withheld.]`;
  return replaced(text, event, call);
}

const TEXTS = {
  refused: 'Countersign refused this call, and it ran all the same: something in front of its hook let it through.',
  changed: 'What ran has other arguments than Countersign decided on: another hook changed them, or the client did.',
  unknown: 'Countersign was not asked about this call before it ran.',
};

function outcomeOf({ name, response, error, isInterrupt }: HookEvent): Outcome {
  if (name === 'PostToolUseFailure') {
    const thrown = new Error(error);
    thrown.name = 'ToolError';
    return { status: isInterrupt ? 'cancelled' : 'error', error: thrown };
  }
  return { status: isInterrupted(response) ? 'cancelled' : 'success', ...(response !== undefined && { result: response }) };
}

/** The shell says so in what it returns. */
function isInterrupted(response: unknown): boolean {
  return (
    typeof response === 'object' &&
    response !== null &&
    Object.hasOwn(response, 'interrupted') &&
    Reflect.get(response, 'interrupted') === true
  );
}

function released(answer: Released, event: HookEvent, call: ToolCall): Answer {
  if (answer.kind === 'replaced') return replaced(answer.text, event, call);
  if (event.name === 'PostToolUseFailure' || answer.value === event.response) return { kind: 'silent' };
  return { kind: 'replace', output: answer.value, isMcp: isMcp(call) };
}

function replaced(text: string, event: HookEvent, call: ToolCall): Answer {
  // What a failed tool said cannot be taken back.
  if (event.name === 'PostToolUseFailure') return { kind: 'context', text };
  return { kind: 'replace', output: inShapeOf(event.response, text), isMcp: isMcp(call), context: text };
}

function isMcp({ tool }: ToolCall): boolean {
  return tool.server !== OWN_SERVER;
}
