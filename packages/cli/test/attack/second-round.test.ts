/** Second hostile review of the command line: what a file of somebody else makes it print, or wait for. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, folder, project, run } from '../harness.ts';

const ESCAPE = '\u001b]0;pwned\u0007\u001b[2J';
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

async function withRow(sql: string): Promise<{ readonly cwd: string; readonly id: string }> {
  const cwd = await project();
  const [id = ''] = await calls(cwd, [{}]);
  const database = new Sqlite(join(cwd, '.countersign', 'ledger.db'));
  database.prepare(sql).run(ESCAPE);
  database.close();
  return { cwd, id };
}

describe('an approval row that somebody edited', () => {
  it.each([[[]], [['--json']]])('its state reaches no terminal unescaped: list %j', async (more) => {
    const { cwd } = await withRow('UPDATE approvals SET state = ?');
    const ran = await run(['approvals', 'list', '--state', 'all', ...more], { cwd, tty: true });
    expect(ran.code).toBe(0);
    expect(ran.stdout).not.toContain('\u001b]0;');
    expect(ran.stdout).not.toContain('\u001b[2J');
  });

  it('show escapes it too', async () => {
    const { cwd, id } = await withRow('UPDATE approvals SET state = ?');
    const ran = await run(['approvals', 'show', id], { cwd, tty: true });
    expect(ran.stdout).not.toContain('\u001b]0;');
  });
});

describe('a pipe where a ledger should be', () => {
  it.each(['head', 'export', 'verify'])('%s does not wait for whoever laid it there', (command) => {
    const pipe = join(folder(), 'ledger.db');
    execFileSync('mkfifo', [pipe]);
    // A loaded machine takes seconds to start it; one that waits for the pipe never ends.
    const ran = spawnSync(process.execPath, ['--conditions=@countersign/source', MAIN, command, pipe], { timeout: 50_000 });
    expect(ran.signal).toBe(null);
    expect(ran.status).toBe(4);
  });
});
