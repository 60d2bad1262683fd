// Runs the property tests with one seed after another until one fails, or for the rounds given: `npm run fuzz -- 20 [filter ...]`.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [rounds = '10', ...filters] = process.argv.slice(2);
const files = globSync('packages/*/test/**/*.test.ts', { cwd: root })
  .filter((file) => readFileSync(join(root, file), 'utf8').includes("from 'fast-check'"))
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));

for (let round = 1; round <= Number(rounds); round++) {
  const seed = String(randomInt(2 ** 31));
  console.log(`fuzz: round ${round} of ${rounds}, ${files.length} files, seed ${seed}`);
  const { status } = spawnSync('npx', ['vitest', 'run', '--reporter=dot', ...files], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, COUNTERSIGN_TEST_SEED: seed },
  });
  if (status !== 0) {
    console.error(`fuzz: to see this again: COUNTERSIGN_TEST_SEED=${seed} npx vitest run <the file above>`);
    process.exit(1);
  }
}
