/** A program that is about to be run, and what runs it when it is a script. */
import { constants } from 'node:os';
import type { Attribution, ExecAction } from '../activity.ts';
import { CALL_MARKER, parseMarkers } from '../tree/markers.ts';
import { type DecodeContext, type Decoded, unreadable } from './decoded.ts';
import { AT_FDCWD } from './open-flags.ts';

/** A script that is run by a script, and so on: the kernel goes no further. */
const MAX_INTERPRETERS = 5;
const NUL = Buffer.alloc(1);
const MARKED = Buffer.from(`${CALL_MARKER}=`);
const { EACCES, EAGAIN, ETXTBSY } = constants.errno;

/** As it was named: a path, from a descriptor on or `AT_FDCWD`; without a name the descriptor itself. */
interface Named {
  readonly tid: number;
  readonly folder: number;
  readonly name: Buffer;
}

export function executes(
  { tid, folder, name }: Named,
  [argv, envp]: readonly [argv: bigint, envp: bigint],
  context: DecodeContext,
): Decoded {
  const { memory, paths, target, targets } = context;
  const opened = paths.opened(tid, folder, name);
  // Many are tried along `PATH`. Answered here: by the time the kernel looks there may be something.
  if ('errno' in opened) return { kind: 'fails', errno: opened.errno };
  const { place, fd } = opened;
  try {
    const words = memory.texts(tid, argv);
    if (typeof words === 'string') return unreadable('the arguments', words);
    const variables = memory.texts(tid, envp);
    if (typeof variables === 'string') return unreadable('the environment', variables);
    const cwd = targets.cwd(tid) ?? target.cwd;
    const run: ExecAction = {
      kind: 'exec',
      exe: place.resolved ?? place.path,
      argv: words.map((word) => word.toString('utf8')),
      ...(cwd !== undefined && { cwd }),
    };
    const found = interpreters(run, fd, place.path, tid, context);
    // Leased by somebody: once the kernel has waited for that it may say something else.
    if (typeof found === 'number')
      return { kind: 'unreadable', what: 'the first line of the program', errno: found === EAGAIN ? ETXTBSY : EACCES };
    const attribution = attributionOf(variables);
    return { kind: 'act', actions: [...found, run], ...(attribution !== undefined && { attribution }) };
  } finally {
    paths.close(fd);
  }
}

/**
 * What really runs of a script, and of that: all of them are judged, as the kernel starts them without a call of their own. Shells and
 * the like count as what they are; `env` in a first line runs the program it names by a call that is judged then.
 *
 * @returns a number where nobody can tell: positive errno
 */
function interpreters(
  script: ExecAction,
  start: number,
  path: string,
  tid: number,
  { paths, scripts }: DecodeContext,
): readonly ExecAction[] | number {
  const found: ExecAction[] = [];
  let [fd, named, argv] = [start, path, script.argv];
  try {
    for (let depth = 0; depth < MAX_INTERPRETERS; depth++) {
      const interpreter = scripts.interpreter(fd);
      if (typeof interpreter === 'number') return interpreter;
      if (interpreter === undefined) break;
      const { program, argument } = interpreter;
      const opened = paths.opened(tid, AT_FDCWD, program);
      argv = [program.toString('utf8'), ...(argument === undefined ? [] : [argument]), named, ...argv.slice(1)];
      named = opened.place.resolved ?? opened.place.path;
      found.push({ ...script, exe: named, argv });
      if ('errno' in opened) break;
      if (fd !== start) paths.close(fd);
      fd = opened.fd;
    }
  } finally {
    if (fd !== start) paths.close(fd);
  }
  return found;
}

/** Our marker in the environment it will have: the first of the name counts, as for `getenv`. */
function attributionOf(variables: readonly Buffer[]): Attribution | undefined {
  const marked = variables.find((each) => each.subarray(0, MARKED.length).equals(MARKED));
  const call = marked === undefined ? undefined : parseMarkers(Buffer.concat([marked, NUL])).call;
  return call === undefined ? undefined : { method: 'marker', call };
}
