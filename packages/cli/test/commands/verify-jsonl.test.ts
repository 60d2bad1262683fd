import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { calls, json, project, run } from '../harness.ts';

const KEY = '.countersign/ledger.key.pub';

async function exportedLedger(): Promise<{ readonly cwd: string; readonly file: string }> {
  const cwd = await project();
  await calls(cwd, [{ tool: 'read_file', args: { path: '/srv/a.txt', '10': 1, '9': 2 } }, { tool: 'delete_file' }, {}]);
  await run(['export', '--output', 'all.ndjson'], { cwd });
  return { cwd, file: join(cwd, 'all.ndjson') };
}

describe('verify an export', () => {
  it('proves what it proves of the ledger', async () => {
    const { cwd } = await exportedLedger();
    const ran = await run(['verify', 'all.ndjson', '--public-key', KEY, '--json'], { cwd });
    expect(ran.code).toBe(0);
    const { format, ...rest } = json(ran);
    expect(format).toBe('countersign-export-1');
    const { format: _format, ...ledger } = json(await run(['verify', '.countersign/ledger.db', '--public-key', KEY, '--json'], { cwd }));
    expect(rest).toEqual(ledger);
  });

  it('names the entry that was changed', async () => {
    const { cwd, file } = await exportedLedger();
    writeFileSync(file, readFileSync(file, 'utf8').replace('"agent":"bot"', '"agent":"b0t"'));
    const ran = await run(['verify', 'all.ndjson', '--public-key', KEY], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/problem {2}entry \d+: .* \[ENTRY_CHANGED\]/);
  });

  it('since a checkpoint reads all of it, and says so', async () => {
    const { cwd } = await exportedLedger();
    writeFileSync(join(cwd, 'head.note'), (await run(['head'], { cwd })).stdout);
    const ran = await run(['verify', 'all.ndjson', '--public-key', KEY, '--since', 'head.note'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('everything was read [SINCE_READ_ALL]');
    expect(ran.stdout).not.toContain('not read');
  });

  it('refuses a selection', async () => {
    const { cwd } = await exportedLedger();
    writeFileSync(join(cwd, 'some.ndjson'), (await run(['filter', '--effect', 'allow', '--format', 'ndjson'], { cwd })).stdout);
    expect((await run(['verify', 'some.ndjson'], { cwd })).code).toBe(4);
  });
});

describe('verify a mirror', () => {
  it('ahead of its checkpoint: says in words what is not covered', async () => {
    const { cwd, file } = await exportedLedger();
    const [header = '', ...lines] = readFileSync(file, 'utf8').trimEnd().split('\n');
    const bodies = lines.map((line) => /"entry":(.*?\})(?:,"opening":.*)?\}$/.exec(line)?.[1] ?? '');
    writeFileSync(join(cwd, 'mirror.jsonl'), `${bodies.join('\n')}\n`);
    const { checkpoint } = JSON.parse(header) as { checkpoint: string };
    writeFileSync(join(cwd, 'mirror.jsonl.checkpoint'), checkpoint);
    expect((await run(['verify', 'mirror.jsonl', '--public-key', KEY], { cwd })).code).toBe(0);

    appendFileSync(join(cwd, 'mirror.jsonl'), `${bodies.at(-1)?.replace(/"id":"[0-9a-f]+"/, `"id":"${'0'.repeat(32)}"`)}\n`);
    const ran = await run(['verify', 'mirror.jsonl', '--public-key', KEY], { cwd });
    expect(ran.stdout).toContain(`integrity: the first ${bodies.length} entries give the root of the checkpoint`);
    expect(ran.stdout).toContain('no checkpoint covers the last 1, so nothing shows who added them');
    expect(ran.stdout).toContain('NOT PROVEN  authorship: the last 1 entries are under no signature');
    expect(ran.code).not.toBe(0);
  });
});
