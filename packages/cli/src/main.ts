#!/usr/bin/env node
/** The `countersign` command. Start reading at `dispatch.ts`; a hook, which must never fail open, starts at `hook/process.ts`. */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const argv = process.argv.slice(2);
if (major < 22 || (major === 22 && minor < 15)) {
  // The rest would fail to load, with a message that helps nobody.
  process.stderr.write(`countersign: Node ${process.versions.node} is too old [USAGE]\n  next: install Node 22.15 or newer\n`);
  process.exitCode = 2;
} else if (isHook(argv)) {
  // Before anything is loaded that could fail.
  process.exitCode = 2;
  try {
    const { denyWhateverFails } = await import('./hook/last-word.ts');
    denyWhateverFails();
    const { runHookProcess } = await import('./hook/process.ts');
    await runHookProcess(argv);
  } catch {
    process.stderr.write('countersign: this call did not run: the hook could not be loaded [INTERNAL_ERROR]\n');
    process.exit(2);
  }
} else {
  const { main } = await import('./dispatch.ts');
  const { processIo } = await import('./io.ts');
  const code = await main(argv, processIo());
  // What was written has been flushed; a server's pipe or a paused terminal must not keep the process.
  process.exit(code);
}

/** `--json` and `--config FILE` may stand before the command. */
function isHook(words: readonly string[]): boolean {
  let at = 0;
  while (words[at] === '--json' || words[at]?.startsWith('--config') === true) at += words[at] === '--config' ? 2 : 1;
  return words[at] === 'hook';
}
