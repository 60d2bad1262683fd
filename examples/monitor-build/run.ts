/**
 * An ordinary build under `countersign run`: npm install of a local package, tsc and git, round after round. Nothing of it is halted or
 * killed; what is flagged is counted.
 *
 * One round in CI. For two minutes: `COUNTERSIGN_EXAMPLE_SECONDS=120 node --conditions=@countersign/source examples/monitor-build/run.ts`
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const BUILD = fileURLToPath(new URL('./build.mjs', import.meta.url));
const SECONDS = process.env['COUNTERSIGN_EXAMPLE_SECONDS'] ?? '0';
const NODE = ['--conditions=@countersign/source', '--no-warnings'];

const missing = ['git', 'npm'].find((program) => spawnSync(program, ['--version']).status !== 0);
if (missing !== undefined || !existsSync('/proc/self/stat')) {
  console.log(`SKIPPED: no ${missing ?? '/proc to look at processes in'}`);
  process.exit(0);
}

// Not under the folder for temporary files, where nearly all is allowed.
const nest = fileURLToPath(new URL('./.countersign/', import.meta.url));
mkdirSync(nest, { recursive: true });
const stage = mkdtempSync(join(nest, 'stage-'));
const home = join(stage, 'home');
const work = join(stage, 'work');
for (const folder of [home, join(work, 'src'), join(stage, 'greeting')]) mkdirSync(folder, { recursive: true });
const { PATH = '' } = process.env;
const env = { PATH, HOME: home, COUNTERSIGN_STATE_DIR: join(stage, 'state'), NO_COLOR: '1', GIT_CONFIG_NOSYSTEM: '1' };

try {
  write('greeting/package.json', { name: 'greeting', version: '1.0.0', main: 'index.js', types: 'index.d.ts' });
  write('greeting/index.js', "exports.greeting = 'hello';\n");
  write('greeting/index.d.ts', 'export declare const greeting: string;\n');
  write('work/package.json', { name: 'work', version: '1.0.0', private: true, dependencies: { greeting: 'file:../greeting' } });
  write('work/.npmrc', 'install-links=true\nupdate-notifier=false\n');
  write('work/.gitignore', 'node_modules/\n');
  write(
    'work/src/main.ts',
    "import { greeting } from 'greeting';\nimport { round } from './round';\nexport const text: string = `hello, ${greeting} ${round}`;\n",
  );
  const compilerOptions = { rootDir: 'src', outDir: 'out', module: 'commonjs', target: 'es2022', strict: true, types: [] };
  write('work/tsconfig.json', { compilerOptions, include: ['src'] });
  spawnSync(process.execPath, [...NODE, CLI, 'keygen', '--out', join(stage, 'ledger.key'), '--name', 'example.com/build'], { env });
  write(
    'countersign.yaml',
    `version: 1
agent: builder
policy: { id: none, rules: [] }
ledger: { path: ledger.db, key: ledger.key, origin: example.com/build }
monitor: { poll: 50ms, halt_timeout: 2s, on_halt_timeout: kill, log: { dir: log } }
`,
  );

  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const { code, stderr } = await run(
    '--task',
    'Install the dependencies, build it and commit',
    '--',
    process.execPath,
    BUILD,
    tsc,
    SECONDS,
  );
  const ended = stderr.split('\n').flatMap((line) => (line.startsWith('{"event":"ended"') ? [JSON.parse(line)] : []))[0];
  assert.ok(ended !== undefined && code === 0, stderr);
  const { SAFE, FLAG, HALT, KILL } = ended.verdicts;
  assert.deepEqual([HALT, KILL], [0, 0], stderr);
  assert.ok(SAFE > 0);
  const rules = ended.rules.map(([rule, count]: readonly [string, number]) => `${rule} ${count}`).join(', ');
  console.log(
    `level ${ended.level}, ${Math.round(ended.duration_ms / 1000)} s: ${SAFE} safe, ${FLAG} flagged${rules === '' ? '' : ` (${rules})`}`,
  );
  console.log('nothing was halted, nothing was killed');
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function write(name: string, content: string | object): void {
  writeFileSync(join(stage, name), typeof content === 'string' ? content : `${JSON.stringify(content)}\n`);
}

function run(...argv: readonly string[]): Promise<{ readonly code: number | null; readonly stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...NODE, CLI, 'run', '--config', join(stage, 'countersign.yaml'), '--json', ...argv], {
      cwd: work,
      env,
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('close', (code) => resolve({ code, stderr }));
  });
}
