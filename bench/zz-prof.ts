import { mkdtempSync } from 'node:fs';
process.env['COUNTERSIGN_STATE_DIR'] = mkdtempSync('/tmp/prof/state-');
const { benchStore, benchSigner, removeFixtures, rawTable } = await import('./fixtures.ts');
const { createGuard, rulePolicy } = await import('@countersign/core');
const { ARGS, TOOL, RESULT, decideUnit, DECISION } = await import('./calls.ts');
const cpu0 = process.cpuUsage(); process.on("exit", () => { const c = process.cpuUsage(cpu0); console.log("cpu us/op user", (c.user / N).toFixed(0), "sys", (c.system / N).toFixed(0)); });
const mode = process.argv[2]; const N = Number(process.argv[3] ?? 5000);
const store = benchStore(mode === 'guard' ? benchSigner() : 'none');
if (mode === 'guard') {
  const guard = createGuard({ agent: 'a', session: 's', store, policy: rulePolicy({ id: 'b', rules: [{ id: 'r', tools: ['files/read_report'], effect: 'allow' }] }) });
  const t = performance.now();
  for (let i = 0; i < N; i++) await guard.run({ tool: TOOL, args: ARGS }, () => RESULT);
  console.log('us per call', (performance.now() - t) * 1000 / N);
  await guard.close();
} else if (mode === 'alone') {
  const t = performance.now();
  for (let i = 0; i < N; i++) await store.commit(decideUnit());
  console.log('us per append', (performance.now() - t) * 1000 / N);
} else if (mode === 'notes' || mode === 'decisions') {
  const t = performance.now();
  const c = async () => { for (let i = 0; i < N / 64; i++) await store.commit(mode === 'notes' ? { kind: 'record', body: { kind: 'note', topic: 'b', data: { args: ARGS, of: DECISION.policy } } } : decideUnit()); };
  await Promise.all(Array.from({ length: 64 }, c));
  console.log('us per row', (performance.now() - t) * 1000 / N);
} else {
  const raw = rawTable(); const t = performance.now();
  for (let i = 0; i < N; i++) raw.insert('x'.repeat(750));
  console.log('us per raw', (performance.now() - t) * 1000 / N);
}
await store.close(); removeFixtures();
