/** A program that is about to be run, and what runs it when it is a script. */
import type { Attribution, ExecAction } from '../activity.ts';
import { CALL_MARKER, parseMarkers } from '../tree/markers.ts';
import { type DecodeContext, type Decoded, unreadable } from './decoded.ts';
import { AT_FDCWD, type Place } from './paths.ts';

/** A script that is run by a script, and so on: the kernel goes no further. */
const MAX_INTERPRETERS = 5;
const NUL = Buffer.alloc(1);
const MARKED = Buffer.from(`${CALL_MARKER}=`);

/** @param file - where we find what is run */
export function executes(
  place: Place,
  file: string | Buffer,
  [argv, envp]: readonly [argv: bigint, envp: bigint],
  tid: number,
  context: DecodeContext,
): Decoded {
  const { memory, files, target, targets } = context;
  // Many are tried along `PATH`. Answered here: by the time the kernel looks there may be something.
  const missing = files.missing(file);
  if (missing !== undefined) return { kind: 'fails', errno: missing };
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
  const attribution = attributionOf(variables);
  return {
    kind: 'act',
    actions: [...interpreters(run, file, place.path, context), run],
    ...(attribution !== undefined && { attribution }),
  };
}

/**
 * What really runs of a script, and of that: all of them are judged, as the kernel starts them without a call of their own. Shells and
 * the like count as what they are; `env` in a first line runs the program it names by a call that is judged then.
 */
function interpreters(
  script: ExecAction,
  start: string | Buffer,
  path: string,
  { files, paths, target }: DecodeContext,
): readonly ExecAction[] {
  const found: ExecAction[] = [];
  let [file, named, argv]: [string | Buffer, string, readonly string[]] = [start, path, script.argv];
  for (let depth = 0; depth < MAX_INTERPRETERS; depth++) {
    const interpreter = files.interpreter(file);
    if (interpreter === undefined) break;
    const { program, argument } = interpreter;
    const { resolved } = paths.place(target.tid, AT_FDCWD, Buffer.from(program), true);
    argv = [program, ...(argument === undefined ? [] : [argument]), named, ...argv.slice(1)];
    found.push({ ...script, exe: resolved ?? program, argv });
    file = named = resolved ?? program;
  }
  return found;
}

/** Our marker in the environment it will have: the first of the name counts, as for `getenv`. */
function attributionOf(variables: readonly Buffer[]): Attribution | undefined {
  const marked = variables.find((each) => each.subarray(0, MARKED.length).equals(MARKED));
  const call = marked === undefined ? undefined : parseMarkers(Buffer.concat([marked, NUL])).call;
  return call === undefined ? undefined : { method: 'marker', call };
}
