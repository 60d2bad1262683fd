import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey } from '@countersign/core';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { calls, folder, json, project, run } from '../harness.ts';

const LEDGER = '.countersign/ledger.db';
const KEY = '.countersign/ledger.key.pub';

async function filled(): Promise<string> {
  const cwd = await project();
  await calls(cwd, [{ tool: 'read_file' }, { tool: 'delete_file' }, {}]);
  return cwd;
}

/** Changes the file as somebody who can write it would. */
function tamper(cwd: string, sql: string): void {
  const database = new Database(join(cwd, LEDGER));
  database.exec(`DROP TRIGGER entries_no_update; DROP TRIGGER entries_no_delete; ${sql}`);
  database.close();
}

describe('verify', () => {
  it('says what is proven with a key and a checkpoint kept elsewhere', async () => {
    const cwd = await filled();
    const note = (await run(['head'], { cwd })).stdout;
    writeFileSync(join(cwd, 'head.note'), note);
    const ran = await run(['verify', LEDGER, '--public-key', KEY, '--against', 'head.note'], { cwd });
    expect(ran.stdout).toContain('VALID');
    expect(ran.stdout.match(/^ {2}PROVEN {6}/gm)).toHaveLength(3);
    expect(ran.stdout).not.toContain('NOT PROVEN');
    expect(ran.code).toBe(0);
    expect(ran.stderr).toBe('');
  });

  it('says as loudly what is not proven, and how to prove it', async () => {
    const cwd = await filled();
    const ran = await run(['verify', LEDGER], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('PROVEN      integrity');
    expect(ran.stdout).toContain('NOT PROVEN  authorship: whoever could write the file could have made all of it; pass --public-key');
    expect(ran.stdout).toContain('NOT PROVEN  end: entries may have been cut off at the end; pass --against a checkpoint kept elsewhere');
    expect((await run(['verify', LEDGER, '--strict'], { cwd })).code).toBe(3);
  });

  it('has this JSON shape', async () => {
    const cwd = await filled();
    const report = json(await run(['verify', LEDGER, '--json'], { cwd }));
    expect(report).toMatchObject({
      status: 'valid',
      format: 'countersign-1',
      origin: 'countersign.local/bot',
      integrity: 'intact',
      authorship: 'unchecked',
      end: 'unproven',
      open_decisions: 0,
      problems: [],
      problem_count: 0,
    });
    for (const field of ['entries', 'root', 'counts', 'forgotten', 'warnings']) expect(report).toHaveProperty(field);
  });

  it('counts what became of decisions with them, in words that fit the number', async () => {
    const cwd = await filled();
    const { stdout } = await run(['verify', LEDGER], { cwd });
    const { counts } = json(await run(['verify', LEDGER, '--json'], { cwd })) as { counts: { decisions: number; allowed: number } };
    expect(stdout).toContain(`(${counts.decisions} decisions: ${counts.allowed} allowed, `);
    expect(stdout).toContain('; 1 policy');
    expect(stdout).not.toMatch(/ 1 (?:decisions|approvals|outcomes|sessions|policies|recoveries|others)/);
  });

  it('says nothing of authorship and end where nothing could be read', async () => {
    const cwd = await filled();
    for (const file of ['nowhere.db', 'countersign.yaml', '.']) {
      const ran = await run(['verify', file, '--public-key', KEY, '--expect-size', '1'], { cwd });
      expect(ran.code).toBe(4);
      expect(ran.stdout).toMatch(/^UNREADABLE {2}.*\n {2}nothing was checked\n\nproblems: 1\n/);
      expect(ran.stdout).not.toMatch(/PROVEN|pass --/);
    }
  });

  it('asks for no checkpoint where the end is missing, or the one that was given is of no use', async () => {
    const cwd = await filled();
    const lines = (await run(['export', LEDGER], { cwd })).stdout.split('\n');
    writeFileSync(join(cwd, 'cut.ndjson'), `${lines.slice(0, 6).join('\n')}\n`);
    expect((await run(['verify', 'cut.ndjson'], { cwd })).stdout).toContain('FAILED      end: entries are missing there');
    writeFileSync(join(cwd, 'head.note'), (await run(['head', LEDGER], { cwd })).stdout.replace(/\n\n.*/s, '\n'));
    const ran = await run(['verify', LEDGER, '--public-key', KEY, '--against', 'head.note'], { cwd });
    expect(ran.stdout).toContain('NOT PROVEN  end: nothing follows from the checkpoint you gave');
    expect(ran.stdout).toContain('it is not signed [AGAINST_SIGNATURE]');
    expect(ran.code).toBe(1);
  });

  it('reads only what follows a checkpoint, and says what it did not read', async () => {
    const cwd = await filled();
    const note = (await run(['head'], { cwd })).stdout;
    writeFileSync(join(cwd, 'head.note'), note);
    const size = Number(note.split('\n')[1]);
    await calls(cwd, [{ tool: 'read_file' }]);
    const ran = await run(['verify', LEDGER, '--public-key', KEY, '--since', 'head.note'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain(
      `entries 1 to ${size}: not read again, proven to be the start of this ledger by the checkpoint of size ${size}`,
    );
    expect(ran.stdout).toContain('unchecked  what needs them: sums of budgets');
    expect(ran.stdout).toContain('unchecked  approvals and grants that were used up there');
    expect(ran.stdout).toContain(`unchecked  halts of a session and denials by an approver that stand before entry ${size + 1}`);
    expect(ran.stdout).toContain('(of the new ones ');
    expect(ran.stdout).toContain('integrity: every new entry gives the root');
    expect(json(await run(['verify', LEDGER, '--since', 'head.note', '--json'], { cwd }))).toMatchObject({ since: { size } });
    tamper(cwd, `UPDATE checkpoints SET note = replace(note, char(10) || size || char(10), char(10) || (size + 1) || char(10))`);
    expect((await run(['verify', LEDGER, '--since', 'head.note'], { cwd })).code).toBe(1);
  });

  it('checks on as many threads as it is told', async () => {
    const cwd = await filled();
    const one = json(await run(['verify', LEDGER, '--threads', '1', '--json'], { cwd }));
    expect(json(await run(['verify', LEDGER, '--threads', '2', '--json'], { cwd }))).toEqual(one);
  });

  it('takes the configured ledger when none is named', async () => {
    const cwd = await filled();
    expect((await run(['verify'], { cwd })).stdout).toContain(join(cwd, LEDGER));
  });

  it('tells that the configured ledger is older than this machine saw it; of others it asks nobody', async () => {
    const cwd = await filled();
    copyFileSync(join(cwd, LEDGER), join(cwd, 'older.db'));
    await calls(cwd, [{ tool: 'read_file' }]);
    expect((await run(['verify'], { cwd })).stdout).not.toContain('LEDGER_ROLLED_BACK');
    copyFileSync(join(cwd, 'older.db'), join(cwd, LEDGER));
    const ran = await run(['verify'], { cwd });
    expect(ran.stdout).toMatch(/warning {2}ledger: the ledger that this machine last saw .* are missing at the end \[LEDGER_ROLLED_BACK\]/);
    expect(ran.code).toBe(0);
    expect((await run(['verify', '--strict'], { cwd })).code).toBe(1);
    for (const named of [LEDGER, 'older.db']) expect((await run(['verify', named], { cwd })).stdout).not.toContain('LEDGER_ROLLED_BACK');
    expect((await run(['verify', 'older.db', '--config', 'countersign.yaml'], { cwd })).stdout).not.toContain('LEDGER_ROLLED_BACK');
  });

  it('takes keys with limits, on the command line or several in a file', async () => {
    const cwd = await filled();
    const vkey = readFileSync(join(cwd, KEY), 'utf8').trim();
    const verified = (...keys: string[]) => run(['verify', LEDGER, ...keys.flatMap((key) => ['--public-key', key])], { cwd });
    expect((await verified(`${vkey} from=0 until=1000`)).code).toBe(0);
    const revoked = await verified(`${vkey} revoked-from=1`);
    expect(revoked.code).toBe(1);
    expect(revoked.stdout).toContain('[KEY_REVOKED]');
    writeFileSync(join(cwd, 'keys'), `# an older key\n${generateKey('countersign.local/bot').vkey} until=3\n\n${vkey} from=1\n`);
    expect((await verified('keys')).code).toBe(0);
  });

  it.each([
    ['limits that are none', (vkey: string) => `${vkey} until=soon`],
    ['limits of an unknown name', (vkey: string) => `${vkey} before=3`],
    ['a range without a size', (vkey: string) => `${vkey} from=5 until=4`],
    ['an empty file', () => '/dev/null'],
  ])('refuses %s', async (_name, key) => {
    const cwd = await filled();
    const ran = await run(['verify', LEDGER, '--public-key', key(readFileSync(join(cwd, KEY), 'utf8').trim())], { cwd });
    expect(ran.code).toBe(2);
  });

  it('takes a verifier line as well as a file with one', async () => {
    const cwd = await filled();
    const vkey = readFileSync(join(cwd, KEY), 'utf8').trim();
    expect(json(await run(['verify', LEDGER, '--public-key', vkey, '--json'], { cwd }))['authorship']).toBe('proven');
  });

  it('fails under another key', async () => {
    const cwd = await filled();
    const { vkey } = generateKey('countersign.local/bot');
    const ran = await run(['verify', LEDGER, '--public-key', vkey], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('INVALID');
    expect(ran.stdout).toContain('FAILED      authorship');
  });

  it('finds a changed entry and a cut tail', async () => {
    const cwd = await filled();
    const note = (await run(['head'], { cwd })).stdout;
    writeFileSync(join(cwd, 'head.note'), note);
    copyFileSync(join(cwd, LEDGER), join(cwd, 'cut.db'));
    tamper(cwd, `UPDATE entries SET body = replace(body, 'read_file', 'list_file') WHERE body LIKE '%read_file%'`);
    const changed = await run(['verify', LEDGER], { cwd });
    expect(changed.code).toBe(1);
    expect(changed.stdout).toContain('FAILED      integrity');
    expect(changed.stdout).toMatch(/problems: \d+\n {2}problem {2}/);
  });

  it('contradicts a checkpoint of another log', async () => {
    const [cwd, other] = [await filled(), await filled()];
    writeFileSync(join(cwd, 'other.note'), (await run(['head'], { cwd: other })).stdout);
    const ran = await run(['verify', LEDGER, '--against', 'other.note', '--json'], { cwd });
    expect(ran.code).toBe(1);
    expect(json(ran)).toMatchObject({ status: 'invalid', end: 'contradicted' });
  });

  it('escapes what the ledger holds', async () => {
    const cwd = await filled();
    tamper(cwd, `UPDATE meta SET value = char(27) || '[2J' || char(8238) WHERE key = 'origin'`);
    const ran = await run(['verify', LEDGER], { cwd, tty: true, env: { NO_COLOR: '1' } });
    expect(ran.stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  it('colours and moves a bar on a terminal only', async () => {
    const cwd = await filled();
    const shown = await run(['verify', LEDGER], { cwd, tty: true });
    expect(shown.stdout).toContain('\u001b[32mVALID\u001b[0m');
    const piped = await run(['verify', LEDGER], { cwd });
    expect(piped.stdout + piped.stderr).not.toContain('\u001b');
    const plain = await run(['verify', LEDGER], { cwd, tty: true, env: { NO_COLOR: '1' } });
    expect(plain.stdout).not.toContain('\u001b');
  });

  it.each([
    [['verify', 'nowhere.db'], 4],
    [['verify', 'countersign.yaml'], 4],
    [['verify', LEDGER, '--public-key', 'nonsense'], 2],
    [['verify', LEDGER, '--public-key', 'countersign.yaml'], 2],
    [['verify', LEDGER, '--against', 'nowhere'], 4],
    [['verify', LEDGER, '--since', 'nowhere'], 4],
    [['verify', LEDGER, '--since', 'countersign.yaml'], 2],
    [['verify', LEDGER, '--threads', '0'], 2],
    [['verify', LEDGER, '--threads', 'many'], 2],
    [['verify', LEDGER, '--threads', '100'], 2],
    [['verify', LEDGER, '--against', 'countersign.yaml'], 2],
    [['verify', LEDGER, '--expect-size', '1e3'], 2],
    [['verify', LEDGER, '--expect-size', '99999999999999999999'], 2],
    [['verify', LEDGER, '--expect-head', 'xyz'], 2],
    [['verify', LEDGER, '--config', 'nowhere.yaml'], 4],
  ])('%j exits with %d', async (argv, code) => {
    const cwd = await filled();
    expect((await run(argv, { cwd })).code).toBe(code);
  });

  it('without ledger and configuration says what to do', async () => {
    const ran = await run(['verify'], { cwd: folder() });
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain('[CONFIG_NOT_FOUND]');
    expect(ran.stderr).toContain('give its path, or --config FILE');
    expect(ran.stderr).toContain('countersign init');
  });
});
