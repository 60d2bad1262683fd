/** As whatever user runs it: each attack of its first argument, JSON, one after the other. Prints what came of them, JSON. */
import { pid as self } from 'node:process';
import type { TrapReads } from '../../../src/kernel/traps.ts';
import { ended, type Project, refusing, running } from './running.ts';

/** In arguments `WORK`, `SECRET`, `GOOD` and `WARDEN` stand for what is known only there. */
export interface UserAttack {
  readonly trapReads: TrapReads;
  readonly program: string;
  readonly args: readonly string[];
}

export interface UserAttacked {
  readonly said: readonly string[];
  readonly stopped: readonly string[];
  readonly programs: readonly string[];
  readonly isUntouched: boolean;
}

const results: UserAttacked[] = [];
for (const { trapReads, program, args } of JSON.parse(process.argv[2] ?? '[]') as readonly UserAttack[]) {
  const run = await running({ trapReads, program, args: (project) => args.map((each) => filled(each, project)), onTold: refusing });
  const { said, stopped, actions } = await ended(run);
  results.push({
    said,
    stopped: stopped.map(({ kind }) => kind),
    programs: actions.flatMap((action) => (action.kind === 'exec' ? [action.exe] : [])),
    isUntouched: run.isUntouched(),
  });
  await run.close();
}
console.log(JSON.stringify(results));

function filled(text: string, { work, secret, good }: Project): string {
  const known = new Map([
    ['WORK', work],
    ['SECRET', secret],
    ['GOOD', good],
    ['WARDEN', String(self)],
  ]);
  return text.replace(/\b(?:WORK|SECRET|GOOD|WARDEN)\b/g, (name) => known.get(name) ?? name);
}
