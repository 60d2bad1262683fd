/** Tries to read a secret 600 times, over six forms of the API, with the probe on. Prints how often it was refused. */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { installProbe } from '../../../src/probe/install.ts';
import type { Verdict } from '../../../src/verdict.ts';

const [secret = '', control = ''] = process.argv.slice(2);
const TIMES = 100;
const verdict = (level: 'SAFE' | 'HALT'): Verdict => ({
  level,
  rule: 'secret',
  reason: '',
  evaluator: 'rules',
  confidence: 1,
  evidence: [],
});
installProbe({
  judge: ({ action }) => verdict((action.kind === 'read' || action.kind === 'write') && action.resolved === secret ? 'HALT' : 'SAFE'),
  emit: () => {},
});

const forms: readonly ((path: string) => Promise<unknown>)[] = [
  async (path) => fs.readFileSync(path),
  async (path) => fs.readFileSync(path, 'utf8'),
  (path) => new Promise((resolve, reject) => fs.readFile(path, (error, data) => (error === null ? resolve(data) : reject(error)))),
  (path) => promises.readFile(path),
  async (path) => {
    const handle = await promises.open(path);
    await handle.close();
  },
  (path) => new Promise<void>((resolve, reject) => fs.createReadStream(path).on('error', reject).on('close', resolve).resume()),
];
let refused = 0;
for (let i = 0; i < TIMES; i++) {
  for (const form of forms) {
    await form(secret).catch((error: { code?: string }) => (refused += error.code === 'ACTIVITY_REFUSED' ? 1 : 0));
  }
}
for (const form of forms) await form(control);
console.log(JSON.stringify({ refused }));
