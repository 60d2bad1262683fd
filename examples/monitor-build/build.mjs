// Ordinary work, over and over: install a local package, compile, commit. Ends after the round in which its time is over.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const [tsc, seconds] = process.argv.slice(2);
const end = Date.now() + Number(seconds) * 1000;

run('git', 'init', '--quiet', '.');
for (let round = 1; round === 1 || Date.now() < end; round++) {
  writeFileSync('src/round.ts', `export const round: number = ${round};\n`);
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', '--silent');
  run(process.execPath, tsc, '--project', '.');
  if (!readFileSync('out/main.js', 'utf8').includes('hello')) throw new Error('it was not compiled');
  run('git', 'add', '--all');
  run('git', '-c', 'user.name=Ana', '-c', 'user.email=ana@ours.example', 'commit', '--quiet', '--message', `round ${round}`);
  run('npm', 'uninstall', '--offline', '--no-audit', '--no-fund', '--silent', '--no-save', 'greeting');
}

function run(program, ...args) {
  const { status, stdout, stderr } = spawnSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stdout}${stderr}`);
}
