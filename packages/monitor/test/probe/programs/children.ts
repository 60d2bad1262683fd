/** A host with the probe on, which tries to have a secret read by processes and threads below it. Prints what each of them got. */
import cp from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SHARE_ENV, Worker, type WorkerOptions } from 'node:worker_threads';
import type { Activity } from '../../../src/activity.ts';
import { hostMonitor } from '../../../src/monitor.ts';
import { loadScope } from '../../../src/scope/load.ts';
import type { Verdict } from '../../../src/verdict.ts';

const [folder = '', secret = ''] = process.argv.slice(2);
// An agent's code, of both kinds, which tells what it got.
const READ = `let got; try { got = require('fs').readFileSync(${JSON.stringify(secret)}, 'utf8') } catch (error) { got = error.code }`;
const file = join(folder, 'reader.cjs');
const esm = join(folder, 'reader.mjs');
writeFileSync(
  file,
  `${READ}; const { parentPort } = require('worker_threads'); if (parentPort) parentPort.postMessage(got); else console.log(got)`,
);
writeFileSync(
  esm,
  `import { readFileSync } from 'node:fs'; import { parentPort } from 'node:worker_threads'; let got; try { got = readFileSync(${JSON.stringify(secret)}, 'utf8') } catch (error) { got = error.code } parentPort.postMessage(got);`,
);
const nested = join(folder, 'nested.cjs');
writeFileSync(
  nested,
  `console.log(require('child_process').execFileSync(process.execPath, [${JSON.stringify(file)}], { env: {} }).toString().trim())`,
);

const told: { activity: Activity; verdict: Verdict }[] = [];
const monitor = hostMonitor({
  probe: {
    scope: loadScope({ text: `scope:\n  filesystem: { forbidden_paths: [${JSON.stringify(secret)}] }\n` }),
    workspace: folder,
    onActivity: (activity, verdict) => void (verdict.level !== 'SAFE' && told.push({ activity, verdict })),
  },
});
monitor.begin('0'.repeat(32));

const EVAL = `${READ}; require('worker_threads').parentPort.postMessage(got)`;
const inWorker = (code: string | URL, options: WorkerOptions): Promise<unknown> =>
  new Promise((resolve) => {
    const worker = new Worker(code, options);
    worker.on('message', resolve);
    worker.on('error', (error) => resolve(`error: ${error.message}`));
  });
const inNode = (options: cp.ExecFileSyncOptions, ...args: string[]): string =>
  cp
    .execFileSync(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] })
    .toString()
    .trim();
const forked = (): Promise<unknown> =>
  new Promise((resolve) => {
    const child = cp.fork(file, { execArgv: [], env: {}, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    child.stdout?.on('data', (data: Buffer) => resolve(data.toString().trim()));
  });

const got = {
  'eval worker': await inWorker(EVAL, { eval: true }),
  'file worker': await inWorker(file, {}),
  'ES module worker': await inWorker(new URL(`file://${esm}?query`), {}),
  'worker, execArgv []': await inWorker(EVAL, { eval: true, execArgv: [] }),
  'worker, env {}': await inWorker(EVAL, { eval: true, env: {} }),
  'worker, env {} and execArgv []': await inWorker(EVAL, { eval: true, env: {}, execArgv: [] }),
  'worker, shared env': await inWorker(EVAL, { eval: true, env: SHARE_ENV }),
  'worker by its prototype': await new Promise((resolve) => {
    const Original = Worker.prototype.constructor as typeof Worker;
    new Original(EVAL, { eval: true, env: {} }).on('message', resolve);
  }),
  'worker of a worker': await inWorker(
    `const { Worker, parentPort } = require('worker_threads'); new Worker(${JSON.stringify(EVAL)}, { eval: true, env: {}, execArgv: [] }).on('message', (got) => parentPort.postMessage(got))`,
    { eval: true, env: {}, execArgv: [] },
  ),
  'spawned Node': inNode({}, file),
  'spawned Node, env {}': inNode({ env: {} }, file),
  'spawned Node, other options': inNode({ env: { NODE_OPTIONS: '--no-warnings' } }, file),
  'Node of a Node': inNode({ env: {} }, nested),
  'Node of a shell': cp.execSync(`"${process.execPath}" "${file}"`, { env: {} }).toString().trim(),
  fork: await forked(),
  // What a child can do about its own environment: nothing for whom it starts.
  'Node of a Node that cleans up': inNode(
    {},
    '-e',
    `for (const name of Object.keys(process.env)) delete process.env[name]; console.log(require('child_process').execFileSync(process.execPath, [${JSON.stringify(file)}]).toString().trim())`,
  ),
};
await monitor.close();
process.stdout.write(`\n${JSON.stringify({ got, told, stats: monitor.stats() })}\n`);
