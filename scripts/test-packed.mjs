// What a newcomer installs: packs every package as it would be shipped, installs all of them in an empty folder, and there imports each
// way in, checks the types without leaving any out, runs the program of the README, and the command.
//
// Exit 1 when something failed. Without a network it is skipped, and says so.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOffline, npm, pack, root } from './packing.mjs';

/** Installed by people beside ours: peers that are not optional, and what types are checked with. */
const BESIDE = ['langchain', '@langchain/core', '@langchain/langgraph', 'ai', 'zod', '@types/node'];
/** Of `countersign run`: all was ended by a verdict. */
const KILLED = 120;

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-packed-')));
const place = join(folder, 'app');
const home = join(folder, 'home');
try {
  process.exitCode = tryPackages() ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function tryPackages() {
  const packages = readdirSync(join(root, 'packages')).map((name) => ({ name, manifest: manifestOf(join(root, 'packages', name)) }));
  mkdirSync(join(home, '.ssh'), { recursive: true });
  mkdirSync(place);
  const own = Object.fromEntries(packages.map(({ name, manifest }) => [manifest.name, `file:${pack(name, folder)}`]));
  const beside = Object.fromEntries(BESIDE.map((name) => [name, manifestOf(join(root, 'node_modules', name)).version]));
  writeFileSync(join(place, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies: { ...own, ...beside } }));
  const installed = npm(['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'], place);
  if (installed.status !== 0 && isOffline(installed.stderr ?? '')) return say('SKIPPED: what the packages need could not be fetched', true);
  if (installed.status !== 0) return say(`npm install failed\n${installed.stderr}`, false);

  writeFileSync(join(place, 'imports.ts'), importsOf(packages));
  mkdirSync(join(place, 'readme'));
  writeFileSync(join(place, 'readme/main.ts'), programOf(readFileSync(join(root, 'README.md'), 'utf8')));
  // Types of ours only: those of other packages are checked by nobody here.
  const options = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: ['node'], skipLibCheck: false };
  writeFileSync(join(place, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['imports.ts', 'readme/main.ts'] }));
  return [
    step('each package brings its licence', () => licences(packages)),
    step('every way in can be imported', () => is(node('imports.ts'), { status: 0, stdout: 'imported\n' })),
    step('its types need no others', typesAreWhole),
    step('the program of the README says what the README says', () =>
      is(nodeIn(join(place, 'readme'), 'main.ts'), {
        status: 0,
        stdout: 'refunded 120\ncall refused: no rule matches this call [POLICY_DEFAULT_DENY]\n',
      }),
    ),
    step('countersign --version', () =>
      is(countersign('--version'), { status: 0, stdout: `${manifestOf(join(root, 'packages/cli')).version}\n` }),
    ),
    step('countersign init', () => is(countersign('init', '--agent', 'packed'), { status: 0 })),
    step('countersign doctor', () => is(countersign('doctor'), { status: 0 })),
    step('countersign run', () => is(countersign('run', '--', 'echo', 'it ran'), { status: 0, stdout: 'it ran\n' })),
    step('countersign verify', () => is(countersign('verify', '--public-key', '.countersign/ledger.key.pub'), { status: 0 })),
    ...(process.platform === 'linux' ? [step('what is read is held, as a newcomer has it', nothingIsRead)] : []),
  ].every(Boolean);
}

function licences(packages) {
  const missing = packages.filter(({ manifest }) => !existsSync(join(place, 'node_modules', manifest.name, 'LICENSE')));
  return missing.length === 0 ? undefined : `none in ${missing.map(({ name }) => name).join(', ')}`;
}

function typesAreWhole() {
  const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], {
    cwd: place,
    encoding: 'utf8',
  });
  const found = stdout.split('\n').filter((line) => /^(?:node_modules\/@countersign\/|imports\.ts|readme\/)/.test(line));
  return found.length === 0 ? undefined : found.join('\n');
}

/** koffi came with the command, and the shim is found where it was shipped. */
function nothingIsRead() {
  const capabilities = countersign('doctor').stdout;
  if (!/yes\s+seccomp-notify/.test(capabilities))
    return existsSync(join(place, 'node_modules/koffi'))
      ? void say('SKIPPED: this kernel has no seccomp notification', true)
      : 'koffi did not come with it';
  writeFileSync(join(home, '.ssh/id_rsa'), 'a key\n');
  const command = ['run', '--kernel', 'required', '--mode', 'enforce_kill', '--', 'cat', join(home, '.ssh/id_rsa')];
  return is(countersign(...command), { status: KILLED, stdout: '' });
}

function importsOf(packages) {
  // The adapters of optional peers, which are not here.
  const needsMore = new Set(['@countersign/core/cedar', '@countersign/core/otel', '@countersign/core/testing']);
  const names = packages.flatMap(({ manifest: { name, exports = {} } }) => Object.keys(exports).map((path) => join(name, path)));
  const lines = names
    .filter((name) => !needsMore.has(name) && !name.endsWith('register'))
    .map((name, n) => `import * as m${n} from '${name}';\nvoid m${n};`);
  return `${lines.join('\n')}\nconsole.log('imported');\n`;
}

function programOf(readme) {
  const [, program] = /```ts\n([^]*?)```/.exec(readme) ?? [];
  if (program === undefined) throw new Error('the README has no program');
  return program;
}

function countersign(...args) {
  return node(join(place, 'node_modules/@countersign/cli/dist/main.js'), ...args);
}

function node(...args) {
  return nodeIn(place, ...args);
}

function nodeIn(cwd, ...args) {
  const { COUNTERSIGN_STATE_DIR: _, NODE_OPTIONS: __, ...env } = process.env;
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8', env: { ...env, HOME: home }, timeout: 120_000, input: '' });
}

/** @returns what is wrong; nothing when it is as wanted */
function is(got, wanted) {
  const differs = Object.keys(wanted).some((key) => got[key] !== wanted[key]);
  return differs
    ? `${JSON.stringify(wanted)} was wanted, this came:\n${got.status ?? got.signal}\n${got.stdout}\n${got.stderr}`
    : undefined;
}

function step(what, run) {
  const wrong = run();
  return say(`${wrong === undefined ? 'passed' : 'FAILED'} ${what}${wrong === undefined ? '' : `\n${wrong}`}`, wrong === undefined);
}

function say(text, isFine) {
  process.stdout.write(`test-packed: ${text}\n`);
  return isFine;
}

function manifestOf(path) {
  return JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
}
