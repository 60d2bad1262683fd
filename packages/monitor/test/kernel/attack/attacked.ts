/** The hostile programs of this folder, as tests run them. What is held is refused. */
import { onTestFinished } from 'vitest';
import { cProgram } from '../../c-program.ts';
import { whyNot } from '../supervised.ts';
import { type Attack, type Ended, ended, type Running, refusing, running } from './running.ts';

export { linesOf } from './running.ts';

const attack = cProgram('kernel/attack/attack');
/** The program of `attack.c`. */
export const ATTACK: string = attack ?? '';

/** Undefined: it can be tried here. */
export const missing: string | undefined = whyNot() ?? (attack === undefined ? 'there is no C compiler' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: attacks on kernel control: ${missing}`);

type Options = Omit<Attack, 'program'> & {
  /** Default: the program of `attack.c`. */
  readonly program?: string;
};

/** To its end. */
export async function attacked(options: Options): Promise<Ended & Pick<Running, 'project' | 'isUntouched'>> {
  const run = await attacking({ ...options, onTold: refusing });
  return { ...(await ended(run)), project: run.project, isUntouched: run.isUntouched };
}

/** As far as the test answers what it is told of. */
export async function attacking(options: Omit<Parameters<typeof running>[0], 'program'> & Options): Promise<Running> {
  const run = await running({ program: ATTACK, ...options });
  onTestFinished(() => run.close());
  return run;
}
