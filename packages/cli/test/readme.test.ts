import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { allCommands } from '../src/commands/index.ts';
import { folder, run } from './harness.ts';

const COMMANDS = await allCommands();

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const SERVER = fileURLToPath(new URL('./fixtures/echo-server.mjs', import.meta.url));

describe('the README', () => {
  it('starts with commands that run, one after the other', async () => {
    const cwd = folder();
    copyFileSync(SERVER, join(cwd, 'server.mjs'));
    const lines = (/```sh\n([\s\S]*?)```/.exec(README)?.[1] ?? '').trimEnd().split('\n');
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const [program, ...argv] = line.split(/\s+/);
      expect(program).toBe('countersign');
      const stdin = new PassThrough();
      stdin.end(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read_file', arguments: {} } })}\n`);
      const ran = await run(argv, { cwd, stdin });
      expect(ran.code, `${line}\n${ran.stderr}`).toBe(0);
    }
  });

  it.each(COMMANDS)('names $name and its options', ({ name, options }) => {
    const [group = '', verb] = name.split(' ');
    expect(README).toContain(verb === undefined ? `\`${group}` : group);
    for (const option of options) expect(README).toContain(`--${option.name}`);
  });
});
