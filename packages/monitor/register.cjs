'use strict';
// Preload of the probe: `NODE_OPTIONS=--require=@countersign/monitor/register`. CommonJS, because what is imported does not reach
// threads that evaluate text.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  // It could neither judge nor tell: whoever set this up meant that nothing runs without.
  process.stderr.write(
    `countersign: Node.js ${process.versions.node} is not started: the probe needs 22.15 or later. Use a later Node.js, or leave the probe out\n`,
  );
  process.exit(1);
}
require('#probe-preload').preload();
