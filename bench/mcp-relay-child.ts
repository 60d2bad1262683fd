/**
 * Run by `mcp.ts`: stands where the proxy stands and only copies bytes, which no proxy in a process of its own can save; or does the
 * needed work of each call too, which no proxy that records what ours does can.
 */
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { UPSTREAM } from './mcp-fixtures.ts';
import { neededOnTheWay } from './mcp-needed.ts';

const [kind, path] = process.argv.slice(2);
const child = spawn(UPSTREAM.command, UPSTREAM.args, { stdio: ['pipe', 'pipe', 'inherit'] });
if (kind === undefined) {
  process.stdin.pipe(child.stdin);
  child.stdout.pipe(process.stdout);
} else {
  const passing = neededOnTheWay(path);
  passLines(process.stdin, child.stdin, passing.fromClient);
  passLines(child.stdout, process.stdout, passing.fromServer);
  process.stdin.once('end', () => child.stdin.end());
}

/** What arrives together goes on together. */
function passLines(from: Readable, to: Writable, each: (line: string) => void): void {
  let rest = '';
  from.setEncoding('utf8').on('data', (chunk: string) => {
    const text = rest + chunk;
    const end = text.lastIndexOf('\n') + 1;
    rest = text.slice(end);
    if (end === 0) return;
    for (const line of text.slice(0, end - 1).split('\n')) each(line);
    to.write(text.slice(0, end));
  });
}
