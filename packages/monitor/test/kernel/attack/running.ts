/** A hostile program in a made-up project with a secret, under the real filter and supervisor. Without the test runner: other users run it too. */
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Action } from '../../../src/activity.ts';
import type { SupervisorStart } from '../../../src/kernel/supervisor-protocol.ts';
import type { TrapReads } from '../../../src/kernel/traps.ts';
import { type Supervised, type SupervisedOptions, supervised } from '../supervised.ts';

export interface Project {
  readonly work: string;
  /** A folder in it, with `key` and `other`, which are forbidden, as is whatever is called `new`, `pipe`, `folder` or `link` there. */
  readonly secret: string;
  readonly good: string;
}

export interface Attack {
  readonly trapReads: TrapReads;
  readonly program: string;
  readonly args: (project: Project) => readonly string[];
  readonly start?: Partial<SupervisorStart>;
  /** On top of what rules know of every attack. */
  readonly rules?: (project: Project) => Partial<SupervisorStart['rules']>;
}

export interface Ended {
  /** What it printed: "deed result" by line. */
  readonly said: readonly string[];
  readonly end: Awaited<Supervised['ended']>;
  /** What was refused or held. */
  readonly stopped: readonly Action[];
  readonly actions: readonly Action[];
}

export interface Running extends Supervised {
  readonly project: Project;
  /** Whether the secret is as it was. */
  readonly isUntouched: () => boolean;
}

const SECRET = 'SECRET of somebody';

/** What is held is for the caller to answer. */
export async function running({
  args,
  start,
  rules,
  ...options
}: Attack & Pick<SupervisedOptions, 'onTold' | 'onStall' | 'env' | 'quiet'>): Promise<Running> {
  const at = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-attacked-')));
  const work = join(at, 'work');
  const project = { work, secret: join(work, 'secret'), good: join(work, 'good') };
  mkdirSync(join(project.secret, 'folder'), { recursive: true });
  writeFileSync(project.good, 'fine enough');
  for (const name of ['key', 'other']) writeFileSync(join(project.secret, name), SECRET);
  const forbidden = ['key', 'other', 'new', 'pipe', 'folder', 'link'].map((name) => join(project.secret, name));
  const run = await supervised({
    ...options,
    args: args(project),
    workspace: work,
    scope: { document: { filesystem: { forbidden_paths: forbidden } } },
    ...(start !== undefined && { start }),
    ...(rules !== undefined && { rules: rules(project) }),
  });
  return {
    ...run,
    project,
    isUntouched: () => ['key', 'other'].every((name) => readFileSync(join(project.secret, name), 'utf8') === SECRET),
    close: async () => {
      await run.close();
      rmSync(at, { recursive: true, force: true });
    },
  };
}

/** Answers with a no. */
export const refusing: NonNullable<SupervisedOptions['onTold']> = ({ held }, supervisor) => {
  if (held !== undefined) supervisor.answer(held, 'refuse');
};

export async function ended(run: Running): Promise<Ended> {
  const [output, end] = await Promise.all([run.output, run.ended]);
  // All of it is told before that.
  await run.supervisor.stop();
  return {
    said: linesOf(output),
    end,
    actions: run.told.map(({ observation }) => observation.action),
    stopped: run.told.filter(({ judged }) => judged !== undefined && judged.level !== 'FLAG').map(({ observation }) => observation.action),
  };
}

export function linesOf(output: string): readonly string[] {
  return output.split('\n').filter((line) => line !== '');
}
