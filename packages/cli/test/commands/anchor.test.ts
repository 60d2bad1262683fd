import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timestampAnchor, witnessAnchor } from '@countersign/connect';
import { describe, expect, it } from 'vitest';
import { tsaServer } from '../../../connect/test/anchors/tsa-server.ts';
import { knows, testWitness, witnessKey } from '../../../connect/test/anchors/witness-server.ts';
import { hasOpenssl, TestTsa } from '../../../core/test/fixtures/tsa.ts';
import { calls, json, project, run } from '../harness.ts';

describe('anchor', () => {
  it('copies the newest checkpoint, which then proves the end', async () => {
    const cwd = await project(
      '',
      (text) => `${text}  anchors: [{ file: head.note }, { command: [${process.execPath}, -e, "process.exit(0)"] }]\n`,
    );
    await calls(cwd, [{ tool: 'read_file' }]);
    const ran = await run(['anchor', '--json'], { cwd });
    expect(ran.code).toBe(0);
    expect(json(ran)['anchors']).toMatchObject([{ anchor: `file ${join(cwd, 'head.note')}` }, { anchor: `command ${process.execPath}` }]);
    expect(readFileSync(join(cwd, 'head.note'), 'utf8')).toContain('countersign.local/bot\n');
    expect((await run(['verify', '--against', 'head.note', '--public-key', '.countersign/ledger.key.pub'], { cwd })).code).toBe(0);
  });

  it('tells which anchor failed, and exits 1', async () => {
    const cwd = await project('', (text) => `${text}  anchors: [{ file: head.note }, { file: nowhere/head.note }]\n`);
    await calls(cwd, [{ tool: 'read_file' }]);
    writeFileSync(join(cwd, 'head.note'), 'something else');
    const ran = await run(['anchor'], { cwd });
    expect(ran.code).toBe(1);
    expect(ran.stdout.match(/^failed/gm)).toHaveLength(2);
    expect(readFileSync(join(cwd, 'head.note'), 'utf8')).toBe('something else');
  });

  it('has a witness cosign, which verify and receipts made afterwards tell', async () => {
    const witness = await testWitness('w.example');
    const cwd = await project('', (text) => `${text}  anchors: [{ witness: { url: ${witness.url}, vkey: ${witness.vkey} } }]\n`);
    const [vkey = ''] = readFileSync(join(cwd, '.countersign/ledger.key.pub'), 'utf8').split('\n');
    await calls(cwd, [{ tool: 'read_file' }], { witness: witnessAnchor });
    const unknown = await run(['anchor'], { cwd });
    expect(unknown.code).toBe(1);
    expect(unknown.stdout).toContain('failed  witness w.example: the witness does not know the log countersign.local/bot (status 404)');

    knows(witness, vkey);
    await calls(cwd, [{ tool: 'read_file' }], { witness: witnessAnchor });
    expect((await run(['anchor'], { cwd })).stdout).toMatch(/^copied {2}witness w\.example: \d+ entries$/m);
    const keys = ['--public-key', vkey, '--public-key', witness.vkey];
    const verified = await run(['verify', ...keys], { cwd });
    expect(verified).toMatchObject({ code: 0 });
    expect(verified.stdout).toMatch(/witness: w\.example saw the first \d+ entries, it says at 20/);

    expect((await run(['receipt', 'make', '--entry', '3', '--output', 'r.json'], { cwd })).code).toBe(0);
    const checked = await run(['receipt', 'check', 'r.json', ...keys, '--json'], { cwd });
    expect(json(checked)).toMatchObject({ view: 'witnessed', witnesses: [{ name: 'w.example' }] });
    // Another witness of that name vouches for nothing.
    const other = ['--public-key', vkey, '--public-key', witnessKey('w.example').vkey];
    expect(json(await run(['receipt', 'check', 'r.json', ...other, '--json'], { cwd }))).toMatchObject({ view: 'unwitnessed' });
  });

  it.skipIf(!hasOpenssl)('has a timestamp made, which verify and receipts tell in words, and what they left unproven', async () => {
    const tsa = new TestTsa();
    tsa.issue('other-root', { as: 'authority' });
    const server = await tsaServer(tsa);
    const cwd = await project('', (text) => `${text}  anchors: [{ rfc3161: { url: ${server.url}, certificates: tsa.pem } }]\n`);
    writeFileSync(join(cwd, 'tsa.pem'), tsa.of('root').pem);
    writeFileSync(join(cwd, 'other.pem'), tsa.of('other-root').pem);
    await calls(cwd, [{ tool: 'read_file' }], { timestamp: timestampAnchor });
    expect((await run(['anchor'], { cwd })).stdout).toMatch(/^copied {2}rfc3161 127\.0\.0\.1:\d+\/tsr: \d+ entries$/m);
    const key = ['--public-key', '.countersign/ledger.key.pub'];

    const verified = await run(['verify', ...key, '--tsa-cert', 'tsa.pem'], { cwd });
    expect(verified).toMatchObject({ code: 0 });
    expect(verified.stdout).toMatch(
      /PROVEN {6}time: the first \d+ entries existed before 20\S+Z, says CN=tsa; not asked: whether its certificate was revoked/,
    );
    const without = await run(['verify', ...key], { cwd });
    expect(without).toMatchObject({ code: 0 });
    expect(without.stdout).toMatch(
      /NOT PROVEN {2}time: (one checkpoint carries|\d+ checkpoints carry) a timestamp that nobody checked; pass --tsa-cert/,
    );
    const other = await run(['verify', ...key, '--tsa-cert', 'other.pem'], { cwd });
    expect(other).toMatchObject({ code: 3 });
    expect(other.stdout).toContain('[TIMESTAMP_MISSING]');
    expect((await run(['verify', '--tsa-cert', 'countersign.yaml'], { cwd })).code).toBe(2);
    // What is exported is proven like what it was exported from.
    expect((await run(['export', '--format', 'ndjson', '--output', 'x.jsonl'], { cwd })).code).toBe(0);
    const exported = await run(['verify', 'x.jsonl', ...key, '--tsa-cert', 'tsa.pem', '--json'], { cwd });
    expect(json(exported)).toMatchObject({ status: 'valid', timestamps: [{ tsa: 'CN=tsa', size: json(exported)['entries'] }] });

    expect((await run(['receipt', 'make', '--entry', '3', '--output', 'r.json'], { cwd })).code).toBe(0);
    const checked = await run(['receipt', 'check', 'r.json', ...key, '--tsa-cert', 'tsa.pem'], { cwd });
    expect(checked).toMatchObject({ code: 0 });
    expect(checked.stdout).toMatch(/PROVEN {6}time: the entry existed before 20\S+Z, says CN=tsa/);
    expect((await run(['receipt', 'check', 'r.json', ...key], { cwd })).stdout).toContain(
      'NOT PROVEN  time: the checkpoint carries a timestamp',
    );
  });

  it('is refused inside a guarded tree: it would sign what the agent may have added', async () => {
    const cwd = await project('', (text) => `${text}  anchors: [{ file: head.note }]\n`);
    await calls(cwd, [{ tool: 'read_file' }]);
    const before = json(await run(['head', '--json'], { cwd }));
    writeFileSync(join(cwd, 'head.note'), 'as it was');
    const ran = await run(['anchor'], { cwd, env: { COUNTERSIGN_GUARDED: '1' } });
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('APPROVER_REFUSED');
    expect(readFileSync(join(cwd, 'head.note'), 'utf8')).toBe('as it was');
    expect(json(await run(['head', '--json'], { cwd }))).toEqual(before);
  });

  it('says when none is configured', async () => {
    expect((await run(['anchor'], { cwd: await project() })).code).toBe(2);
  });
});
