/** The hostile programs of this folder, in a made-up project with a secret, under the real filter and supervisor. What is held is refused. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Action } from '../../../src/activity.ts';
import type { SupervisorStart } from '../../../src/kernel/supervisor-protocol.ts';
import type { TrapReads } from '../../../src/kernel/traps.ts';
import { cProgram } from '../../c-program.ts';
import { type Supervised, type SupervisedOptions, supervised, whyNot } from '../supervised.ts';

const attack = cProgram('kernel/attack/attack');
/** The program of `attack.c`. */
export const ATTACK: string = attack ?? '';

/** Undefined: it can be tried here. */
export const missing: string | undefined = whyNot() ?? (attack === undefined ? 'there is no C compiler' : undefined);
if (missing !== undefined) console.warn(`SKIPPED: attacks on kernel control: ${missing}`);

export interface Project {
  readonly work: string;
  /** A folder in it, with `key` and `other`, which are forbidden, as is whatever is called `new`, `pipe`, `folder` or `link` there. */
  readonly secret: string;
  readonly good: string;
}

export interface Attack {
  readonly trapReads: TrapReads;
  /** Default: the program of `attack.c`. */
  readonly program?: string;
  readonly args: (project: Project) => readonly string[];
  readonly start?: Partial<SupervisorStart>;
}

export interface Attacked {
  readonly project: Project;
  /** What it printed: "deed result" by line. */
  readonly said: readonly string[];
  readonly end: Awaited<Supervised['ended']>;
  /** What was refused or held. */
  readonly stopped: readonly Action[];
  readonly actions: readonly Action[];
  /** Whether the secret is as it was. */
  readonly isUntouched: () => boolean;
}

const SECRET = 'SECRET of somebody';

/** To its end. */
export async function attacked(options: Attack): Promise<Attacked> {
  const run = await attacking({
    ...options,
    onTold: ({ held }, supervisor) => {
      if (held !== undefined) supervisor.answer(held, 'refuse');
    },
  });
  const [output, end] = await Promise.all([run.output, run.ended]);
  // All of it is told before that.
  await run.supervisor.stop();
  const { project } = run;
  return {
    project,
    said: linesOf(output),
    end,
    actions: run.told.map(({ observation }) => observation.action),
    stopped: run.told.filter(({ judged }) => judged !== undefined && judged.level !== 'FLAG').map(({ observation }) => observation.action),
    isUntouched: () => ['key', 'other'].every((name) => readFileSync(join(project.secret, name), 'utf8') === SECRET),
  };
}

/** As far as the test answers what it is told of. */
export async function attacking({
  trapReads,
  program = ATTACK,
  args,
  start,
  ...options
}: Attack & Pick<SupervisedOptions, 'onTold' | 'env' | 'quiet'>): Promise<Supervised & { readonly project: Project }> {
  const at = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-attacked-')));
  onTestFinished(() => rmSync(at, { recursive: true, force: true }));
  const work = join(at, 'work');
  const project = { work, secret: join(work, 'secret'), good: join(work, 'good') };
  mkdirSync(join(project.secret, 'folder'), { recursive: true });
  writeFileSync(project.good, 'fine enough');
  for (const name of ['key', 'other']) writeFileSync(join(project.secret, name), SECRET);
  const forbidden = ['key', 'other', 'new', 'pipe', 'folder', 'link'].map((name) => join(project.secret, name));
  const run = await supervised({
    ...options,
    program,
    args: args(project),
    workspace: work,
    trapReads,
    scope: { document: { filesystem: { forbidden_paths: forbidden } } },
    ...(start !== undefined && { start }),
  });
  onTestFinished(() => run.close());
  return { ...run, project };
}

export function linesOf(output: string): readonly string[] {
  return output.split('\n').filter((line) => line !== '');
}
