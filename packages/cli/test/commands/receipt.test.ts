import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, MAX_RECEIPT_BYTES } from '@countersign/core';
import { openRecords } from '@countersign/core/sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { calls, folder, json, run } from '../harness.ts';
import { ruledConfig } from '../ruled-config.ts';

const KEY = '.countersign/ledger.key.pub';
const LEDGER = '.countersign/ledger.db';
let cwd: string;
let call: string;
let denied: string;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'countersign-cli-'));
  await run(['init', '--agent', 'bot'], { cwd });
  writeFileSync(join(cwd, 'countersign.yaml'), ruledConfig('bot').replace('mode: audit', 'mode: enforce'));
  await calls(cwd, [
    { tool: 'read_file', args: { path: '/srv/SECRET-1', mode: 'r' } },
    { tool: 'delete_file', args: { path: '/srv/x' } },
  ]);
  const reader = openRecords(join(cwd, LEDGER));
  const entries = [...reader.records()].map(({ text }) => JSON.parse(text) as Record<string, string>);
  reader.close();
  call = entries.find(({ effect }) => effect === 'allow')?.['call'] ?? '';
  denied = entries.find(({ effect }) => effect === 'deny')?.['call'] ?? '';
});

afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const lines = (ran: { stdout: string }): string => ran.stdout;

describe('receipt make', () => {
  it('writes a file that only its owner reads, and says what is in it', async () => {
    const ran = await run(['receipt', 'make', '--call', call, '--output', 'a.json'], { cwd });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('decision (allow), written to');
    expect(ran.stdout).toContain('outcome    in it, proven at the same size');
    expect(ran.stdout).toContain('clear text in it');
    expect(statSync(join(cwd, 'a.json')).mode & 0o777).toBe(0o600);
    expect((await run(['receipt', 'make', '--call', call, '--output', 'a.json'], { cwd })).code).toBe(1);
    expect((await run(['receipt', 'make', '--call', call, '--output', 'a.json', '--force'], { cwd })).code).toBe(0);
    const made = json(await run(['receipt', 'make', LEDGER, '--call', call, '--output', 'b.json', '--json'], { cwd }));
    expect(made).toMatchObject({ kind: 'decision', effect: 'allow', outcome: 'included', signed: true, clear_text: true });
  });

  it('writes to standard output what it writes to a file', async () => {
    const ran = await run(['receipt', 'make', '--call', denied], { cwd });
    writeFileSync(join(cwd, 'denied.json'), ran.stdout);
    expect((await run(['receipt', 'check', 'denied.json', '--public-key', KEY], { cwd })).code).toBe(0);
  });

  it('leaves clear text out, or shows chosen fields', async () => {
    const none = (await run(['receipt', 'make', '--call', call, '--no-opening'], { cwd })).stdout;
    expect(none).not.toContain('SECRET-1');
    const only = (await run(['receipt', 'make', '--call', call, '--only', '/args/mode,/result/excerpt'], { cwd })).stdout;
    expect(only).not.toContain('SECRET-1');
    expect(only).toContain('/args/mode');
    const disclosed = (await run(['disclose', '--call', call, '--field', '/args/mode', '--field', '/result/excerpt'], { cwd })).stdout;
    expect(disclosed).toBe(only);
  });

  it.each([
    [['receipt', 'make'], 'name one entry'],
    [['receipt', 'make', '--entry', '1', '--call', '0'.repeat(32)], 'name one entry'],
    [['receipt', 'make', '--entry', '0'], '--entry must be a number'],
    [['receipt', 'make', '--entry', '1e3'], '--entry must be a number'],
    [['receipt', 'make', '--call', 'x'], '--call must be 32'],
    [['receipt', 'make', '--leaf', 'x'], '--leaf must be 64'],
    [['receipt', 'make', '--entry', '1', '--only', '/a', '--no-opening'], 'exclude each other'],
    [['disclose', '--entry', '1'], 'disclose needs --field'],
    [['receipt', 'check'], 'needs'],
    [['receipt', 'check', 'a.json', '--public-key', 'nothing'], 'neither a verifier line'],
    [['receipt', 'check', '.'], 'is not a regular file'],
  ])('%j is a usage error', async (argv, message) => {
    const ran = await run(argv, { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });

  it('has a code for what is not there', async () => {
    expect((await run(['receipt', 'make', '--call', '0'.repeat(32)], { cwd })).stderr).toContain('[ENTRY_NOT_FOUND]');
    const ran = await run(['disclose', '--call', call, '--field', '/args/none', '--output', 'no.json'], { cwd });
    expect(ran.stderr).toContain('[OPENING_NOT_FOUND]');
    expect(existsSync(join(cwd, 'no.json'))).toBe(false);
    expect((await run(['receipt', 'make', 'nowhere.db', '--entry', '1'], { cwd })).code).toBe(4);
  });
});

describe('receipt check', () => {
  beforeAll(async () => {
    await run(['receipt', 'make', '--call', call, '--output', 'call.json'], { cwd });
  });

  it('says what is proven with a key, and what is not', async () => {
    const ran = await run(['receipt', 'check', 'call.json', '--public-key', KEY], { cwd });
    expect(ran.code).toBe(0);
    expect(lines(ran)).toContain('VALID');
    expect(lines(ran)).toContain('PROVEN      inclusion');
    expect(lines(ran)).toContain('PROVEN      authorship: the holder of the key you gave committed to this entry');
    expect(lines(ran)).toContain('NOT PROVEN  one view: without a witness, others may have been shown another log');
    expect(lines(ran)).toContain('/srv/SECRET-1');
  });

  it('proves nothing without one, and exits 3', async () => {
    const ran = await run(['receipt', 'check', 'call.json'], { cwd });
    expect(ran.code).toBe(3);
    expect(lines(ran)).toContain('NOT PROVEN  authorship: whoever made the receipt could have made up all of it; pass --public-key');
  });

  it('needs neither ledger nor configuration', async () => {
    const elsewhere = folder();
    writeFileSync(join(elsewhere, 'r.json'), readFileSync(join(cwd, 'call.json')));
    const vkey = readFileSync(join(cwd, KEY), 'utf8').trim();
    expect((await run(['receipt', 'check', 'r.json', '--public-key', vkey], { cwd: elsewhere })).code).toBe(0);
  });

  it('shows nothing of a receipt that is invalid', async () => {
    const text = readFileSync(join(cwd, 'call.json'), 'utf8');
    writeFileSync(join(cwd, 'bad.json'), text.replace('SECRET-1', 'SECRET-2'));
    const ran = await run(['receipt', 'check', 'bad.json', '--public-key', KEY], { cwd });
    expect(ran.code).toBe(1);
    expect(lines(ran)).toContain('INVALID');
    expect(lines(ran)).toContain('[OPENING_MISMATCH]');
    expect(lines(ran)).not.toContain('SECRET-2');
    const { vkey } = generateKey('countersign.local/bot');
    expect((await run(['receipt', 'check', 'call.json', '--public-key', vkey], { cwd })).code).toBe(1);
    expect((await run(['receipt', 'check', 'call.json', '--public-key', KEY, '--origin', 'other'], { cwd })).code).toBe(1);
  });

  it('has this JSON shape', async () => {
    const report = json(await run(['receipt', 'check', 'call.json', '--public-key', KEY, '--json'], { cwd }));
    expect(Object.keys(report).toSorted()).toEqual(
      [
        'authorship',
        'entry',
        'format',
        'inclusion',
        'origin',
        'outcome',
        'problems',
        'root',
        'size',
        'status',
        'view',
        'warnings',
        'witnesses',
      ].toSorted(),
    );
    expect(Object.keys(report['entry'] as object).toSorted()).toEqual(
      ['at', 'body', 'clear_text', 'disclosed', 'entry', 'kind', 'leaf', 'shown', 'withheld_fields', 'withheld_sections'].toSorted(),
    );
  });

  it('escapes what an agent wrote', async () => {
    await calls(cwd, [{ tool: 'read_file', args: { path: '\u001b[2J\u202e' } }]);
    const reader = openRecords(join(cwd, LEDGER));
    const index = [...reader.records()].findLastIndex(({ text }) => text.includes('"effect":"allow"'));
    reader.close();
    await run(['receipt', 'make', '--entry', String(index + 1), '--output', 'esc.json'], { cwd });
    for (const more of [[], ['--json']]) {
      const ran = await run(['receipt', 'check', 'esc.json', '--public-key', KEY, ...more], { cwd, tty: true });
      expect(ran.stdout).not.toContain('\u202e');
      expect(ran.stdout).not.toContain('\u001b[2J');
    }
    const made = await run(['receipt', 'make', '--entry', String(index + 1)], { cwd, tty: true });
    expect(made.stdout).not.toContain('\u202e');
  });

  it('reads no more than a receipt may have', async () => {
    writeFileSync(join(cwd, 'huge.json'), Buffer.alloc(MAX_RECEIPT_BYTES + 1));
    expect((await run(['receipt', 'check', 'huge.json'], { cwd })).code).toBe(2);
    writeFileSync(join(cwd, 'empty.json'), '');
    expect((await run(['receipt', 'check', 'empty.json'], { cwd })).code).toBe(1);
  });
});
