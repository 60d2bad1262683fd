/**
 * Commands that a program we do not know is given as words, as a wrapper takes them: `chronic rm -rf x`, `op run -- rm x`,
 * `concurrently 'rm -rf x'`. Whether it runs them is not known, so what destroys something makes the whole undecided.
 */
import type { Context } from './context.ts';
import { baseName, type Field, isKnown } from './field.ts';

/** Programs whose name among the words of another is looked at. */
const SUSPECTS: ReadonlySet<string> = new Set(
  'rm rmdir unlink shred dd truncate wipefs mkfs mv chmod chown find xargs sh bash dash zsh ksh sudo doas env busybox git eval rimraf shx'.split(
    ' ',
  ),
);
/** Most places among the words where a command is tried. */
const MAX_TRIED = 4;

export function checkCarried(args: readonly Field[], context: Context): void {
  let tried = 0;
  for (let at = 0; at < args.length && tried < MAX_TRIED; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') {
      tried++;
      if (destroys(context, (inner) => inner.engine.run(args.slice(at + 1), inner))) return;
    } else if (isSuspect(arg)) {
      tried++;
      if (destroys(context, (inner) => inner.engine.run(args.slice(at), inner))) return;
    } else if (isLine(arg)) {
      tried++;
      if (destroys(context, (inner) => inner.engine.runText(arg, inner))) return;
    }
  }
}

function isSuspect(arg: Field): boolean {
  return isKnown(arg) && SUSPECTS.has(baseName(arg).toLowerCase());
}

/** `rm -rf x` as one word. */
function isLine(arg: Field): boolean {
  const blank = arg.indexOf(' ');
  return blank > 0 && isKnown(arg) && isSuspect(arg.slice(0, blank));
}

function destroys(context: Context, run: (inner: Context) => void): boolean {
  const apart = context.recorder.apart();
  run({ ...context, recorder: apart, state: context.state.fork() });
  if (!apart.hasFound('destructive')) return false;
  context.recorder.undecided('argument');
  return true;
}
