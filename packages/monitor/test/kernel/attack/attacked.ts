/** The hostile programs of this folder, in a made-up project with a secret, under the real filter and supervisor. What is held is refused. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Action } from '../../../src/activity.ts';
import type { SupervisorStart } from '../../../src/kernel/supervisor-protocol.ts';
import type { TrapReads } from '../../../src/kernel/traps.ts';
import { cProgram } from '../../c-program.ts';
import { type Supervised, supervised, whyNot } from '../supervised.ts';

const attack = cProgram('kernel/attack/attack');

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

export async function attacked({ trapReads, program = attack ?? '', args, start }: Attack): Promise<Attacked> {
  const at = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-attacked-')));
  onTestFinished(() => rmSync(at, { recursive: true, force: true }));
  const work = join(at, 'work');
  const project = { work, secret: join(work, 'secret'), good: join(work, 'good') };
  mkdirSync(join(project.secret, 'folder'), { recursive: true });
  writeFileSync(project.good, 'fine enough');
  for (const name of ['key', 'other']) writeFileSync(join(project.secret, name), SECRET);
  const forbidden = ['key', 'other', 'new', 'pipe', 'folder', 'link'].map((name) => join(project.secret, name));
  const run = await supervised({
    program,
    args: args(project),
    workspace: work,
    trapReads,
    scope: { document: { filesystem: { forbidden_paths: forbidden } } },
    ...(start !== undefined && { start }),
    onTold: ({ held }, supervisor) => {
      if (held !== undefined) supervisor.answer(held, 'refuse');
    },
  });
  onTestFinished(() => run.close());
  const [output, end] = await Promise.all([run.output, run.ended]);
  // All of it is told before that.
  await run.supervisor.stop();
  const actions = run.told.map(({ observation }) => observation.action);
  return {
    project,
    said: output.split('\n').filter((line) => line !== ''),
    end,
    actions,
    stopped: run.told.filter(({ judged }) => judged !== undefined && judged.level !== 'FLAG').map(({ observation }) => observation.action),
    isUntouched: () => ['key', 'other'].every((name) => readFileSync(join(project.secret, name), 'utf8') === SECRET),
  };
}
