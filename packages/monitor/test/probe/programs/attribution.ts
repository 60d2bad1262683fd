/**
 * A hundred guarded calls at once, each doing what agents' tools do: files through awaits, callbacks, timers and streams, requests,
 * processes. The call's number is in every name, so that each activity tells whose it was. Prints how many were attributed right.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import promises from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { allowAll, createGuard, currentCall } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { hostMonitor } from '../../../src/monitor.ts';

const [folder = ''] = process.argv.slice(2);
const CALLS = 100;
const server = http.createServer((_request, response) => response.end('x')).listen(0, '127.0.0.1');
await new Promise((resolve) => server.on('listening', resolve));
const { port } = server.address() as AddressInfo;

const callOf = new Map<string, string>();
let right = 0;
let wrong = 0;
let unattributed = 0;
const monitor = hostMonitor({
  probe: {
    workspace: folder,
    judge: () => ({ level: 'SAFE', rule: 'none', reason: '', evaluator: 'rules', confidence: 1, evidence: [] }),
    onActivity: ({ action, attribution }) => {
      const tag = /tag-(\d+)-/.exec(JSON.stringify(action))?.[1];
      if (tag === undefined) return;
      if (attribution.call === undefined) unattributed++;
      else if (attribution.method === 'scope' && attribution.call === callOf.get(tag)) right++;
      else wrong++;
    },
  },
});
const guard = createGuard({ agent: 'a7', policy: allowAll(), store: memoryStore(), monitor });

await Promise.all(
  Array.from({ length: CALLS }, (_, i) =>
    guard.run({ tool: { name: 'work' }, args: { i } }, async () => {
      const tag = `tag-${i}-`;
      // Its own id, as it is on the first line of the tool.
      callOf.set(String(i), currentCall()?.callId ?? 'none');
      const file = join(folder, `${tag}file`);
      for (let round = 0; round < 3; round++) {
        await promises.writeFile(file, 'x');
        fs.readFileSync(file);
        await setTimeout(i % 7);
        await promises.readFile(file);
        await new Promise((resolve) => fs.readFile(file, resolve));
        await setImmediate();
        await new Promise<void>((resolve) => fs.createReadStream(file).on('close', resolve).resume());
        await new Promise<void>((resolve) => process.nextTick(() => resolve(void fs.readFileSync(file, 'utf8'))));
        await promises.rename(file, `${file}2`).then(() => promises.rename(`${file}2`, file));
      }
      const socket = join(folder, `${tag}s`);
      await new Promise((resolve) => http.get({ socketPath: socket }).on('error', resolve));
      await fetch(`http://127.0.0.1:${port}/${tag}`).then(async (response) => response.text());
      await promisify(execFile)('true', [tag]);
      await promises.unlink(file);
    }),
  ),
);
await guard.close();
await monitor.close();
server.close();
console.log(JSON.stringify({ right, wrong, unattributed }));
