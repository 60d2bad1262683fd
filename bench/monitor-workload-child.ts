/** The process of `monitor-workload.ts`: says `ready`, waits for a line, does its work, prints what it did, and stays. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

interface Task {
  readonly folder: string;
  readonly gapMs: number;
  readonly children: number;
  readonly childMs: number;
  readonly reads: number;
  readonly readMs: number;
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const cell = new Int32Array(new SharedArrayBuffer(4));
const sleep = (ms: number): unknown => Atomics.wait(cell, 0, 0, ms);
const buffer = Buffer.alloc(64);

process.stdout.write('ready\n');
await once(process.stdin, 'data');

const children: { readonly pid: number; readonly tag: string }[] = [];
for (let at = 0; at < task.children; at++) {
  // `sleep` adds its arguments up: the second is its tag and takes no time.
  const tag = `0.00000${1_000 + at}`;
  const child = spawn('/bin/sleep', [String(task.childMs / 1_000), tag], { stdio: 'ignore' });
  await once(child, 'exit');
  children.push({ pid: child.pid ?? 0, tag });
  sleep(Math.random() * task.gapMs);
}

const reads: string[] = [];
for (let at = 0; at < task.reads; at++) {
  const path = join(task.folder, `secret-${at}`);
  const file = openSync(path, 'r');
  readSync(file, buffer);
  sleep(task.readMs);
  closeSync(file);
  reads.push(path);
  sleep(Math.random() * task.gapMs);
}

process.stdout.write(`${JSON.stringify({ children, reads })}\n`);
await once(process.stdin, 'end');
