/**
 * What the probe adds to the reading of a small file: its path is followed through links, judged by a scope of a hundred patterns, and
 * told with the call it was done in. Both readers are the same function of Node, one as it was before the probe came; slices of
 * each alternate in one process, inside of a guarded call.
 */
import fs, { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowAll, createGuard } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { installProbe } from '../packages/monitor/src/probe/install.ts';
import { ruleEngine } from '../packages/monitor/src/rules/engine.ts';
import { loadScope } from '../packages/monitor/src/scope/load.ts';
import { atMost, type Claim } from './figure.ts';
import { median } from './measure.ts';

const added = 'microseconds the probe adds to readFileSync of a small file, 100 patterns';

export const monitorProbeClaims: readonly Claim[] = [{ name: added, measure: async () => atMost(added, await probeMicros(), 3, 'us') }];

const PATTERNS = 100;
const FILES = 20;
const SLICE = 200;
const SLICES = 400;
const WARM_UP_SLICES = 50;
/** Activities that are kept, the oldest overwritten: what a host does with them until somebody asks. */
const KEPT = 1_024;

async function probeMicros(): Promise<number> {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'countersign-bench-'));
  const files = Array.from({ length: FILES }, (_, i) => join(folder, `file-${i}.txt`));
  for (const file of files) writeFileSync(file, 'x'.repeat(200));
  const forbidden = Array.from({ length: PATTERNS }, (_, i) => `~/private-${i}/**`);
  const scope = loadScope({ text: JSON.stringify({ scope: { filesystem: { forbidden_paths: forbidden } } }) });
  const engine = ruleEngine(scope, { workspace: folder, home: '/home/bench' });
  const kept: unknown[] = Array.from({ length: KEPT });
  const { readFileSync: plain } = fs;
  let seen = 0;
  let attributed = 0;
  const probe = installProbe({
    judge: (activity) => engine.judge(activity),
    emit: (activity, verdict, scope) => {
      kept[seen++ % KEPT] = { activity, verdict };
      if (scope !== undefined) attributed++;
    },
  });
  const { readFileSync: probed } = fs;
  const guard = createGuard({ agent: 'bench', policy: allowAll(), store: memoryStore() });
  try {
    return await guard.run({ tool: { name: 'read' }, args: {} }, () => {
      const differences: number[] = [];
      for (let slice = -WARM_UP_SLICES; slice < SLICES; slice++) {
        const one = timed(plain, files);
        const other = timed(probed, files);
        if (slice >= 0) differences.push(((other - one) * 1_000) / SLICE);
      }
      const expected = (SLICES + WARM_UP_SLICES) * SLICE;
      if (attributed < expected) throw new Error(`${attributed} of ${expected} readings were attributed`);
      return median(differences);
    });
  } finally {
    probe.uninstall();
    await guard.close();
    rmSync(folder, { recursive: true });
  }
}

function timed(read: typeof fs.readFileSync, files: readonly string[]): number {
  const startedAt = performance.now();
  for (let i = 0; i < SLICE; i++) read(files[i % FILES] as string, 'utf8');
  return performance.now() - startedAt;
}
