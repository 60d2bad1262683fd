import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canonical, chained, type Fields, lines, scenario, writeLines, writeSqlite } from '../../../core/test/sudoagent/writer.ts';
import { folder, json, run } from '../harness.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const entries = chained(scenario(), privateKey);
const head = entries.at(-1)?.['entry_hash'] as string;

function withKey(): string {
  const cwd = folder();
  writeFileSync(join(cwd, 'key.pub.pem'), publicKey.export({ format: 'pem', type: 'spki' }));
  return cwd;
}

describe('verify, a ledger of SudoAgent', () => {
  it.each([
    ['lines', () => writeLines(lines(entries))],
    ['rows', () => writeSqlite(entries)],
  ])('of %s with its PEM and its end', async (_what, path) => {
    const ran = await run(['verify', path(), '--public-key', 'key.pub.pem', '--expect-head', head, '--expect-size', '14'], {
      cwd: withKey(),
    });
    expect(ran.stdout).toContain('VALID');
    expect(ran.stdout).toContain(`head       ${head}`);
    expect(ran.stdout).toContain('PROVEN      integrity: every entry gives its hash, and the hash chain is whole');
    expect(ran.stdout).toContain('PROVEN      authorship: signed by the key you gave');
    expect(ran.stdout.match(/^ {2}PROVEN {6}/gm)).toHaveLength(3);
    expect(ran.stdout).not.toContain('checkpoint kept elsewhere');
    expect(ran.code).toBe(0);
  });

  it('says that signatures are there and were not checked, and that its end cannot be shown', async () => {
    const ran = await run(['verify', writeLines(lines(entries))], { cwd: folder() });
    expect(ran.stdout).toContain('NOT PROVEN  authorship: signatures are present and were not checked; pass --public-key');
    expect(ran.stdout).toContain('NOT PROVEN  end: entries may have been cut off at the end, which this format cannot show');
    expect(ran.code).toBe(0);
    expect((await run(['verify', writeLines(''), '--json'], { cwd: folder() })).code).toBe(3);
    expect((await run(['verify', 'none.jsonl'], { cwd: folder() })).code).toBe(4);
  });

  it('names the entry that was changed', async () => {
    const path = writeLines(lines(entries).replace('tools.read', 'tools.rm'));
    const ran = await run(['verify', path, '--public-key', 'key.pub.pem'], { cwd: withKey() });
    expect(ran.stdout).toContain('entry 1: entry_hash is not the hash of this entry: one of the two was changed [ENTRY_HASH_MISMATCH]');
    expect(ran.stdout).toContain('FAILED      integrity');
    expect(ran.code).toBe(1);
    const report = json(await run(['verify', path, '--json'], { cwd: folder() }));
    expect(report).toMatchObject({ status: 'invalid', format: 'sudoagent-v2', problems: [{ entry: 1, code: 'ENTRY_HASH_MISMATCH' }] });
  });

  it('says who did not sign', async () => {
    const cwd = withKey();
    const unsigned = canonical(chained(scenario()).at(0) as never);
    const ran = await run(['verify', writeLines(`${unsigned}\n`), '--public-key', 'key.pub.pem'], { cwd });
    expect(ran.stdout).toContain('[ENTRY_UNSIGNED]');
    expect(ran.code).toBe(1);
  });

  it('refuses what such a ledger does not have', async () => {
    const cwd = withKey();
    writeFileSync(join(cwd, 'head.note'), 'log\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n');
    const ran = await run(['verify', writeLines(lines(entries)), '--against', 'head.note'], { cwd });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('ledgers of SudoAgent have no checkpoints');
    expect((await run(['verify', writeLines(lines(entries)), '--expect-head', 'AAAA'], { cwd })).code).toBe(2);
  });
});

describe('receipt, of a ledger of SudoAgent', () => {
  const requestId = entries[3]?.['request_id'] as string;

  it('is made by request id, and checked with the PEM and without the ledger', async () => {
    const cwd = withKey();
    const ledger = writeSqlite(entries);
    const made = await run(['receipt', 'make', ledger, '--request-id', requestId, '--output', 'call.json'], { cwd });
    expect(made.stdout).toContain('entry 4, allow, outcome 5');
    const ran = await run(['receipt', 'check', 'call.json', '--public-key', 'key.pub.pem'], { cwd });
    expect(ran.stdout).toContain('PROVEN      authorship: the holder of the key you gave signed these entries');
    expect(ran.stdout).toContain('NOT PROVEN  place: a receipt of a hash chain cannot show where it stands');
    expect(ran.code).toBe(0);
    expect((await run(['receipt', 'check', 'call.json'], { cwd })).code).toBe(3);
    const text = readFileSync(join(cwd, 'call.json'), 'utf8');
    writeFileSync(join(cwd, 'call.json'), text.replace('tools.refund', 'tools.nothing'));
    const changed = await run(['receipt', 'check', 'call.json', '--public-key', 'key.pub.pem', '--json'], { cwd });
    expect(changed.code).toBe(1);
    expect(json(changed)).toMatchObject({ format: 'sudoagent-receipt-1', status: 'invalid', place: 'unproven' });
    const hash = ((entries[3] as Fields)['decision'] as Fields)['decision_hash'] as string;
    expect((await run(['receipt', 'make', ledger, '--decision-hash', hash], { cwd })).stdout).toBe(text);
  });

  it('needs one name of one call', async () => {
    const cwd = folder();
    const ledger = writeLines(lines(entries));
    const code = async (...args: readonly string[]): Promise<number> => (await run(['receipt', 'make', ledger, ...args], { cwd })).code;
    expect(await code('--request-id', requestId, '--entry', '1')).toBe(2);
    expect(await code('--request-id', requestId, '--decision-hash', 'a'.repeat(64))).toBe(2);
    expect(await code('--decision-hash', 'A'.repeat(64))).toBe(2);
    expect((await run(['receipt', 'make', ledger, '--request-id', 'none'], { cwd })).stderr).toContain('ENTRY_NOT_FOUND');
  });
});
