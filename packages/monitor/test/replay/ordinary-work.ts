/** What agents and developers do all day, in made-up pieces. */
import { HOME, PROJECT, type Proc, type Stage } from './stage.ts';

type Piece = (stage: Stage) => void;

const libraries = (stage: Stage, proc: Proc): void => {
  for (const path of ['/etc/ld.so.cache', '/lib/x86_64-linux-gnu/libc.so.6', '/usr/lib/locale/C.utf8/LC_CTYPE', '/proc/self/maps'])
    stage.reads(proc, path);
};

const edit: Piece = (stage) => {
  const file = `${PROJECT}/src/${stage.random.word(6)}.ts`;
  stage.reads(stage.agent, file);
  stage.writes(stage.agent, `${file}.tmp`, false);
  stage.does(stage.agent, { kind: 'rename', path: `${file}.tmp`, to: file });
};

const search: Piece = (stage) => {
  const proc = stage.runs(stage.agent, '/usr/bin/rg', 'rg', '--json', stage.random.word(5));
  libraries(stage, proc);
  for (let n = 0; n < 30; n++) stage.reads(proc, `${PROJECT}/src/${stage.random.word(4)}/${stage.random.word(6)}.ts`);
};

const tests: Piece = (stage) => {
  const npm = stage.runs(stage.agent, '/usr/bin/node', 'node', '/usr/bin/npm', 'test');
  stage.reads(npm, `${HOME}/.npmrc`);
  const shell = stage.runs(npm, '/usr/bin/dash', 'sh', '-c', 'vitest run');
  const proc = stage.runs(shell, '/usr/bin/node', 'node', `${PROJECT}/node_modules/.bin/vitest`, 'run');
  libraries(stage, proc);
  for (let n = 0; n < 20; n++) stage.writes(proc, `${PROJECT}/node_modules/.vite/${stage.random.word(8)}`, false);
  stage.writes(proc, `/tmp/${stage.random.word(8)}/ssr.js`, false);
  stage.connects(proc, 'localhost', '127.0.0.1', stage.random.between(30_000, 60_000));
  stage.writes(proc, `${PROJECT}/coverage/index.html`);
};

const install: Piece = (stage) => {
  const npm = stage.runs(stage.agent, '/usr/bin/node', 'node', '/usr/lib/node_modules/npm/bin/npm-cli.js', 'install');
  stage.reads(npm, `${HOME}/.npmrc`);
  for (let n = 0; n < 12; n++) stage.connects(npm, 'registry.example', '104.16.3.34');
  for (let n = 0; n < 60; n++) {
    stage.writes(npm, `${HOME}/.npm/_cacache/tmp/${stage.random.word(8)}`, false);
    stage.writes(npm, `${PROJECT}/node_modules/${stage.random.word(5)}/index.js`, false);
  }
  for (let n = 0; n < 40; n++) stage.deletes(npm, `${PROJECT}/node_modules/.old-${stage.random.word(4)}/${n}.js`, true);
};

const git: Piece = (stage) => {
  const proc = stage.runs(
    stage.agent,
    '/usr/bin/git',
    'git',
    stage.random.one(['checkout', 'rebase', 'merge', 'stash']),
    stage.random.word(5),
  );
  stage.reads(proc, `${HOME}/.gitconfig`);
  for (let n = 0; n < 60; n++) stage.deletes(proc, `${PROJECT}/src/${stage.random.word(3)}/${n}.ts`, true);
  for (let n = 0; n < 30; n++) stage.writes(proc, `${PROJECT}/.git/objects/${stage.random.word(2)}/${stage.random.word(38)}`, false);
  stage.writes(proc, `${PROJECT}/.git/index.lock`, false);
};

const pull: Piece = (stage) => {
  const proc = stage.runs(stage.agent, '/usr/bin/git', 'git', 'pull', '--ff-only');
  const remote = stage.runs(proc, '/usr/lib/git-core/git-remote-https', 'git-remote-https', 'origin', 'https://github.com/x/shop.git');
  stage.reads(remote, '/etc/ssl/certs/ca-certificates.crt');
  stage.connects(remote, 'github.com', '140.82.121.3');
};

const clean: Piece = (stage) => {
  stage.shell(stage.agent, 'rm -rf dist coverage && npm run build', ['/usr/bin/rm', 'rm', '-rf', 'dist', 'coverage']);
  const proc = stage.runs(stage.agent, '/usr/bin/rm', 'rm', '-rf', `${PROJECT}/node_modules`);
  for (let n = 0; n < 80; n++) stage.deletes(proc, `${PROJECT}/node_modules/${stage.random.word(4)}/${n}.js`, true);
  for (let n = 0; n < 40; n++) stage.deletes(proc, `${PROJECT}/dist/${stage.random.word(4)}/${n}.js`, true);
};

const python: Piece = (stage) => {
  const proc = stage.runs(stage.agent, '/usr/bin/python3.11', 'python3', '-m', 'pytest', '-q');
  libraries(stage, proc);
  for (let n = 0; n < 15; n++) stage.writes(proc, `${PROJECT}/tests/__pycache__/test_${n}.cpython-311.pyc`, false);
  stage.writes(proc, `${PROJECT}/.pytest_cache/v/cache/lastfailed`);
  stage.writes(proc, `/tmp/pytest-of-dana/pytest-${stage.random.below(9)}/x`, false);
};

const compile: Piece = (stage) => {
  const make = stage.runs(stage.agent, '/usr/bin/make', 'make', '-j8');
  for (let n = 0; n < 20; n++) {
    const compiler = stage.runs(make, '/usr/bin/x86_64-linux-gnu-gcc-12', 'gcc', '-c', `src/${n}.c`, '-o', `build/${n}.o`);
    stage.writes(compiler, `/tmp/cc${stage.random.word(6)}.s`, false);
    stage.writes(compiler, `${PROJECT}/build/${n}.o`, false);
    stage.deletes(compiler, `/tmp/cc${stage.random.word(6)}.s`);
  }
};

const server: Piece = (stage) => {
  const proc = stage.runs(stage.agent, '/usr/bin/node', 'node', 'server.js');
  stage.reads(proc, `${PROJECT}/.env`);
  stage.connects(proc, 'localhost', '127.0.0.1', 5432);
  stage.runs(stage.agent, '/usr/bin/nc', 'nc', '-z', 'localhost', '3000');
};

const model: Piece = (stage) => stage.connects(stage.agent, 'api.anthropic.com', '160.79.104.10');

const PIECES: readonly Piece[] = [edit, edit, search, tests, install, git, pull, clean, python, compile, server, model, model];

export function ordinaryWork(stage: Stage, pieces: number): void {
  for (let n = 0; n < pieces; n++) {
    stage.random.one(PIECES)(stage);
    stage.pass(stage.random.between(200, 20_000));
  }
}
