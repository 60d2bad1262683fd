/**
 * Every statement about speed, measured: `npm run bench [-- [--json] [part of a name, or group ...]]`.
 *
 * `--json` prints `{ "figures": [{ name, value, unit, bound, ok, interval? }] }` and nothing else on stdout. A missed bound is a
 * figure with `ok: false`, not a failed run: the exit code is 1 only when something could not be measured at all.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Claim, Measured } from './figure.ts';

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean', default: false } }, allowPositionals: true });

// Last known heads of the ledgers made here must not land in the user's own state directory.
const stateDirectory = mkdtempSync(join(tmpdir(), 'countersign-bench-state-'));
process.env['COUNTERSIGN_STATE_DIR'] = stateDirectory;
const { allClaims, removeFixtures } = await import('./claims.ts');

try {
  const figures = await measureAll(chosen(allClaims, positionals));
  process.stdout.write(values.json ? `${JSON.stringify({ figures: figures.map(plain) }, undefined, 2)}\n` : table(figures));
} finally {
  removeFixtures();
  rmSync(stateDirectory, { recursive: true, force: true });
}

function chosen(claims: readonly Claim[], parts: readonly string[]): readonly Claim[] {
  const found = claims.filter(
    (claim) => parts.length === 0 || parts.some((part) => claim.name.includes(part) || claim.groups?.includes(part)),
  );
  if (found.length > 0) return found;
  throw new Error(`no figure has "${parts.join('" or "')}" in its name:\n${claims.map((claim) => `  ${claim.name}`).join('\n')}`);
}

async function measureAll(claims: readonly Claim[]): Promise<readonly Measured[]> {
  const figures: Measured[] = [];
  for (const claim of claims) {
    if (!values.json && process.stderr.isTTY) process.stderr.write(`measuring ${claim.name} ...\n`);
    const figure = await claim.measure();
    if (figure !== undefined) figures.push(figure);
  }
  return figures;
}

function plain({ sense: _sense, ...figure }: Measured): Omit<Measured, 'sense'> {
  return figure;
}

function table(figures: readonly Measured[]): string {
  const width = Math.max(...figures.map((figure) => figure.name.length));
  const lines = figures.map(({ name, value, unit, bound, ok, interval, sense }) => {
    const within = interval === undefined ? '' : ` (95 %: ${interval.low.toFixed(2)} to ${interval.high.toFixed(2)})`;
    const wanted = bound === null ? '' : `  ${sense} ${bound}  ${ok ? 'ok' : 'MISSED'}`;
    return `${name.padEnd(width)}  ${value.toFixed(2).padStart(6)} ${unit.padEnd(6)}${within}${wanted}`.trimEnd();
  });
  return `${lines.join('\n')}\nRatios to a baseline measured in the same run; Node ${process.version}, ${process.platform} ${process.arch}.\n`;
}
