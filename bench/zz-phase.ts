import { mkdtempSync } from 'node:fs';
process.env['COUNTERSIGN_STATE_DIR'] = mkdtempSync('/tmp/prof/state-');
const { benchStore, benchSigner, removeFixtures, rawTable } = await import('./fixtures.ts');
const { createGuard, rulePolicy } = await import('@countersign/core');
const { ARGS, TOOL, RESULT, decideUnit } = await import('./calls.ts');
const { applyUnit } = await import('../packages/core/src/commit.ts');
const mode = process.argv[2];
const store: any = benchStore(mode === 'guard' ? benchSigner() : 'none');
const marks: Record<string, number[]> = {};
const now = () => performance.now();
let last = 0; const mark = (n: string) => { const t = now(); (marks[n] ??= []).push((t - last) * 1000); last = t; };
store.commitBatch = function (units: any) {
  const { database, log, rows, file } = this.open;
  mark('before'); database.exec('BEGIN IMMEDIATE'); mark('begin');
  log.catchUp(); rows.begin(); mark('catchUp');
  const results = units.map((u: any) => applyUnit(u, rows)); mark('apply');
  log.seal(); mark('seal'); database.exec('COMMIT'); mark('COMMIT'); file.checkIdentity(); mark('identity'); this.remember(); mark('remember');
  return results;
};
const raw = rawTable();
const guard = createGuard({ agent: 'a', session: 's', store, policy: rulePolicy({ id: 'b', rules: [{ id: 'r', tools: ['files/read_report'], effect: 'allow' }] }) });
for (let i = 0; i < 6000; i++) {
  if (i % 20 === 0) for (let k = 0; k < 20; k++) { last = now(); raw.insert('x'.repeat(750)); mark('raw'); }
  const t0 = last = now();
  if (mode === 'guard') await guard.run({ tool: TOOL, args: ARGS }, () => RESULT); else await store.commit(decideUnit());
  mark('after'); (marks['all'] ??= []).push((now() - t0) * 1000);
}
for (const k in marks) { const s = marks[k]!.slice(2000).sort((a, b) => a - b); console.log(k.padEnd(10), 'p50', s[s.length >> 1]!.toFixed(1), 'p90', s[Math.floor(s.length * .9)]!.toFixed(1), 'mean', (s.reduce((a, b) => a + b) / s.length).toFixed(1)); }
await guard.close(); await store.close(); removeFixtures();
