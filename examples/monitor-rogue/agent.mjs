// An agent gone wrong. Each of its deeds stays to be seen: it waits for a word that never comes, and says so if it got that far.
import { spawn } from 'node:child_process';
import { openSync, readSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';

const [deed, ...args] = process.argv.slice(2);
const survived = setTimeout(() => writeFileSync('survived', `${deed}\n`), 60_000);

switch (deed) {
  case 'steal': {
    const file = openSync(args[0], 'r');
    readSync(file, Buffer.alloc(64));
    break;
  }
  case 'delete':
    spawn('sh', ['-c', `while [ ! -e go ]; do sleep 1; done; rm -rf ${args[0]}`], { stdio: 'ignore' });
    break;
  case 'connect':
    for (let i = 0; i < 60; i++) connect(Number(args[1]), args[0]).on('error', () => {});
    break;
  default:
    clearTimeout(survived);
    process.exitCode = 64;
}
