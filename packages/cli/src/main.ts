#!/usr/bin/env node
/** The `countersign` command. Start reading at `dispatch.ts`. */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  // The rest would fail to load, with a message that helps nobody.
  process.stderr.write(`countersign: Node ${process.versions.node} is too old [USAGE]\n  next: install Node 22.15 or newer\n`);
  process.exitCode = 2;
} else {
  const { main } = await import('./dispatch.ts');
  const { processIo } = await import('./io.ts');
  const code = await main(process.argv.slice(2), processIo());
  // What was written has been flushed; a server's pipe or a paused terminal must not keep the process.
  process.exit(code);
}
