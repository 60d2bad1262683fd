import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('runs the program of the README', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const program = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? '';
  expect(
    program
      .trim()
      .split('\n')
      .filter((line) => line !== '').length,
  ).toBeLessThanOrEqual(15);
  const directory = mkdtempSync(join(tmpdir(), 'countersign-readme-'));
  try {
    symlinkSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)), join(directory, 'node_modules'));
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    writeFileSync(join(directory, 'program.ts'), program);
    const env = { ...process.env, COUNTERSIGN_STATE_DIR: join(directory, 'state') };
    const command = ['--conditions=@countersign/source', 'program.ts'];
    const output = execFileSync(process.execPath, command, { cwd: directory, env, encoding: 'utf8' });
    expect(output).toContain('tool in stock\n');
    expect(output).toContain('tool call refused');
    expect(output).not.toContain('gone');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
