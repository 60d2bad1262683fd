/** Run by `mcp.ts`: stands where the proxy stands and only copies bytes. What it costs, no proxy in a process of its own can save. */
import { spawn } from 'node:child_process';
import { UPSTREAM } from './mcp-fixtures.ts';

const child = spawn(UPSTREAM.command, UPSTREAM.args, { stdio: ['pipe', 'pipe', 'inherit'] });
process.stdin.pipe(child.stdin);
child.stdout.pipe(process.stdout);
