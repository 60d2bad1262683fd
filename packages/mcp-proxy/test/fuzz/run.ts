// `npm run fuzz:mcp -- [count] [transport] [seed]`: mutated messages through the whole proxy. Ends with 1 when something did not hold.
import { randomInt } from 'node:crypto';
import { overBridge } from './bridge.ts';
import { type Drive, run } from './campaign.ts';
import { overGateway } from './gateway.ts';
import { overHttp } from './http.ts';
import { toLegacy } from './legacy.ts';
import { toHttp } from './remote.ts';
import { overStdio } from './stdio.ts';

const BATCH = 2000;
const TRANSPORTS = new Map<string, Drive>([
  ['stdio', overStdio],
  ['http', overHttp],
  ['bridge', overBridge],
  ['gateway', overGateway],
  ['remote', toHttp],
  ['legacy', toLegacy],
]);
const [count = '200000', transport = 'stdio', seed = String(randomInt(2 ** 31))] = process.argv.slice(2);
const drive = TRANSPORTS.get(transport);
if (drive === undefined || !/^\d{1,9}$/.test(count) || !/^\d{1,10}$/.test(seed)) {
  console.error(`usage: npm run fuzz:mcp -- [count] [${[...TRANSPORTS.keys()].join(' | ')}] [seed]`);
  process.exit(2);
}
console.log(`fuzz:mcp: ${count} messages over ${transport}, seed ${seed}`);
const started = performance.now();
const { problems, ...report } = await run({
  seed: Number(seed),
  count: Number(count),
  batch: BATCH,
  drive,
  onBatch: (sent) => {
    if (sent % 20_000 === 0) console.log(`  ${sent} sent, ${Math.round((performance.now() - started) / 1000)} s`);
  },
});
console.log(JSON.stringify(report));
for (const problem of problems.slice(0, 20)) console.error(problem);
console.log(
  problems.length === 0
    ? 'nothing found'
    : `${problems.length} problems; a batch again: npm run fuzz:mcp -- ${BATCH} ${transport} <its seed>`,
);
process.exit(problems.length === 0 ? 0 : 1);
