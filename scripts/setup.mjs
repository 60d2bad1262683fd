// Installs what is missing, then gets out of the way. Plain JavaScript: it runs on whatever Node the machine has (>= 20),
// before the Node of this project (a devDependency) is there. `npm install` and not `npm ci`: a registry mirror that
// lacks other platforms' binaries makes `npm ci` stop over optional packages nobody here needs.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const marker = join(root, 'node_modules', '.countersign-setup');

if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node 20 or newer is needed to install, this is ${process.versions.node}`);

if (!isInstalled()) {
  process.stderr.write('countersign: installing dependencies (once, about a minute) ...\n');
  const npm = process.env.npm_execpath;
  const flags = ['install', '--no-audit', '--no-fund', '--loglevel=error'];
  const [command, args] = npm === undefined ? ['npm', flags] : [process.execPath, [npm, ...flags]];
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) fail(`npm install failed${error ? `: ${error.message}` : ''}: run it by hand in ${root} to see why`);
  mkdirSync(dirname(marker), { recursive: true });
  // Taken after the install: npm may have completed the lock file.
  writeFileSync(marker, wanted());
  if (!existsSync(nodeBinary()))
    fail('the node package did not put its binary in place: are install scripts allowed for it (`allowScripts`)?');
}

function isInstalled() {
  return existsSync(marker) && readFileSync(marker, 'utf8') === wanted() && existsSync(nodeBinary());
}

function wanted() {
  const lock = join(root, 'package-lock.json');
  return createHash('sha256')
    .update(readFileSync(join(root, 'package.json')))
    .update(existsSync(lock) ? readFileSync(lock) : '')
    .digest('hex');
}

function nodeBinary() {
  return join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
}

function fail(message) {
  process.stderr.write(`countersign: ${message}\n`);
  process.exit(1);
}
