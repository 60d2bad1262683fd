// Runs the adapters on the oldest versions of their frameworks that package.json declares: packs what was built,
// installs it beside those versions in a folder of its own, and runs a compact suite there (scripts/peers/). The newest ones
// are what the repository installs and everything else is tested with.
//
//   node scripts/test-peers.mjs                        the oldest of each declared range
//   node scripts/test-peers.mjs langchain=1.2.0 ...    other versions, to find out what works
//
// Exit 1 when something failed, a version that does not exist included. Without a network it is skipped, and says so.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOffline, npm, pack, root } from './packing.mjs';

const adapters = [
  { name: 'langchain', suite: 'langchain.mjs' },
  { name: 'vercel-ai', suite: 'vercel-ai.mjs' },
];
// Other versions than declared: npm would refuse them.
const forced = process.argv.length > 2 ? ['--force'] : [];
const wanted = new Map(process.argv.slice(2).map((argument) => argument.split('=', 2)));

const folder = mkdtempSync(join(tmpdir(), 'countersign-peers-'));
let status = 0;
try {
  const tarballs = new Map(['core', ...adapters.map(({ name }) => name)].map((name) => [name, pack(name, folder)]));
  for (const adapter of adapters) status = Math.max(status, tryAdapter(adapter, tarballs));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(status);

function tryAdapter({ name, suite }, tarballs) {
  const { peerDependencies } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
  // The overrides pin exactly these, whatever the frameworks among themselves would take.
  const peers = Object.fromEntries(Object.entries(peerDependencies).map(([peer, range]) => [peer, wanted.get(peer) ?? oldestOf(range)]));
  const versions = Object.entries(peers).map((entry) => entry.join(' '));
  const place = mkdtempSync(join(folder, `${name}-`));
  const own = { '@countersign/core': `file:${tarballs.get('core')}`, [`@countersign/${name}`]: `file:${tarballs.get(name)}` };
  const manifest = { private: true, type: 'module', dependencies: { ...own, ...peers, zod: '^4.1.0' }, overrides: peers };
  writeFileSync(join(place, 'package.json'), JSON.stringify(manifest, null, 2));
  copyFileSync(join(root, 'scripts', 'peers', suite), join(place, suite));
  const installed = npm(
    ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', ...forced],
    place,
  );
  if (installed.status !== 0) {
    const text = installed.stderr ?? '';
    if (!isOffline(text)) {
      say(`${name}: npm install of ${versions.join(', ')} failed\n${text}`);
      return 1;
    }
    say(`SKIPPED ${name}: ${versions.join(', ')} could not be fetched`);
    return 0;
  }
  const run = spawnSync(process.execPath, ['--test', '--test-reporter=tap', suite], { cwd: place, encoding: 'utf8' });
  say(`${run.status === 0 ? 'passed' : 'FAILED'} @countersign/${name} on ${versions.join(', ')}`);
  if (run.status !== 0) say(run.stdout + run.stderr);
  return run.status === 0 ? 0 : 1;
}

/** `^1.2.0` and `>=1.2.0 <2` begin at 1.2.0. */
function oldestOf(range) {
  const [version] = /\d+\.\d+\.\d+/.exec(range) ?? [];
  if (version === undefined) throw new Error(`no lowest version in the range ${range}`);
  return version;
}

function say(text) {
  process.stdout.write(`test-peers: ${text}\n`);
}
