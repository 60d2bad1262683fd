/** A warden that held a program, and what a person said to it: for tests of what may be run next without another word. */
import { onTestFinished } from 'vitest';
import type { Action, Activity, Actor } from '../../src/activity.ts';
import type { HaltAnswer } from '../../src/warden/ports.ts';
import { runWarden } from '../../src/warden/warden.ts';
import { CHILD, fakeRules, wardenParts } from './fakes.ts';

export const CURL: readonly string[] = ['curl', 'https://a.example/x'];

export function run(argv: readonly string[], exe = `/usr/bin/${argv[0]}`): Action {
  return { kind: 'exec', exe, argv };
}

/** Whatever has curl in it is forbidden; with `--other`, or from `/other`, by another rule. */
const rules = {
  judge: (activity: Activity) => {
    const { action, seq } = activity;
    if (action.kind !== 'exec' || !action.argv.some((word) => word.includes('curl'))) return fakeRules.judge(activity);
    const rule = action.argv.includes('--other') || action.exe.startsWith('/other') ? 'other-rule' : 'forbidden-command';
    return { level: 'KILL' as const, rule, reason: 'forbidden command', evaluator: 'rules' as const, confidence: 1, evidence: [seq] };
  },
};

/** `first`: what became of the program; `held`: tells of another one, and gives what becomes of that. */
export async function answeredExec(action: Action, answer: HaltAnswer) {
  let passedMs = 0;
  const clock = { nowMs: () => Date.now(), monotonicMs: () => passedMs };
  const parts = wardenParts('flag_and_hold', { rules, clock });
  const warden = await runWarden(parts.options);
  onTestFinished(async () => void (await warden.close()));
  const held = (next: Action, actor: Actor = CHILD): string[] =>
    parts.sensor.hold('KILL', { rule: 'forbidden-command', action: next, actor });
  const first = held(action);
  await parts.questions.until(1);
  parts.questions.answer(answer);
  while (first.length === 0) await new Promise((resolve) => setImmediate(resolve));
  return { ...parts, warden, held, first, pass: (ms: number) => void (passedMs += ms) };
}
