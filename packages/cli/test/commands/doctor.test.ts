import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timestampAnchor, witnessAnchor } from '@countersign/connect';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { tsaServer } from '../../../connect/test/anchors/tsa-server.ts';
import { knows, testWitness, witnessKey } from '../../../connect/test/anchors/witness-server.ts';
import { hasOpenssl, TestTsa } from '../../../core/test/fixtures/tsa.ts';
import { calls, folder, json, project, type Ran, run } from '../harness.ts';

const KEY = '.countersign/ledger.key';

const checksSchema = z.array(
  z.strictObject({ name: z.string(), status: z.enum(['ok', 'warn', 'fail']), message: z.string(), next: z.string().optional() }),
);

function checks(ran: Ran): ReadonlyMap<string, z.infer<typeof checksSchema>[number]> {
  return new Map(checksSchema.parse(json(ran)['checks']).map((check) => [check.name, check]));
}

describe('doctor', () => {
  it('looks at these things, in this order', async () => {
    const cwd = await project();
    const ran = await run(['doctor', '--json'], { cwd });
    expect(ran.code).toBe(0);
    expect(json(ran)['status']).toBe('ok');
    expect([...checks(ran).keys()]).toEqual([
      'node',
      'sqlite',
      'clock',
      'config',
      'key',
      'ledger',
      'filesystem',
      'watching',
      'state',
      'monitor',
      'environment',
    ]);
    expect(checks(ran).get('sqlite')?.message).toMatch(/^SQLite 3\.\d+\.\d+, journal wal, synchronous 2 after reopening$/);
    expect(checks(ran).get('monitor')?.message).toContain('coverage L0');
    expect(checks(ran).get('monitor')?.message).toMatch(
      /^of the processes of an agent, \w+: level (?:L[01] with run, .*prevents nothing; L[01] with attach; freezes by (?:signal|cgroup)|L2 with run, .*racy.*; L[01] with attach; freezes by gate)$/m,
    );
    expect(checks(ran).get('monitor')?.message).toMatch(/^(yes|no ) {2}connector /m);
  });

  it('reads well for people', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    const ran = await run(['doctor'], { cwd });
    expect(ran.stdout).toMatch(/^ok {4}node {9}Node \d/);
    expect(ran.stdout).toContain('the newest checkpoint is signed by the configured key');
    expect(ran.stdout.endsWith('\nReady.\n')).toBe(true);
    expect(ran.stdout).not.toContain('\u001b');
  });

  it('says whether the decision point that is asked, and tokens of clients, are usable, and asks nothing', async () => {
    const fetched = vi.spyOn(globalThis, 'fetch');
    onTestFinished(() => fetched.mockRestore());
    const block = 'serve: { clients: [{ agent: helper, token: { env: HELPER } }] }\n';
    const authzen = 'policy:\n  authzen: { url: "https://decisions.example", token: { env: DECISIONS } }\n';
    const cwd = await project(block, (text) => text.replace('policy:\n', authzen));
    const env = { HELPER: 'h'.repeat(40), DECISIONS: 'w'.repeat(40) };
    const good = await run(['doctor', '--json'], { cwd, env });
    expect(checks(good).get('decisions')).toMatchObject({ status: 'ok', message: expect.stringContaining('serve takes tokens of helper') });
    for (const [name, message] of [
      ['DECISIONS', 'policy.authzen.token: the variable DECISIONS is not set'],
      ['HELPER', 'serve.clients[0].token: the variable HELPER is not set'],
    ] as const) {
      const bad = await run(['doctor', '--json'], { cwd, env: { ...env, [name]: '' } });
      expect(checks(bad).get('decisions')).toMatchObject({ status: 'fail', message: expect.stringContaining(message) });
      expect(bad.stdout).not.toMatch(/hhhh|wwww/);
    }
    expect(fetched).not.toHaveBeenCalled();
  });

  it('says of each channel and sender whether it is usable, and sends nothing', async () => {
    const fetched = vi.spyOn(globalThis, 'fetch');
    onTestFinished(() => fetched.mockRestore());
    const block =
      '  channels: [page, { webhook: { url: "https://pager.example/x", secret: { env: HOOK } } }]\n  senders: { pager: { secret: { file: answers } } }\n';
    const cwd = await project('', (text) => text.replace('approvals:\n', `approvals:\n${block}`));
    const secret = (byte: number): string => `whsec_${Buffer.alloc(32, byte).toString('base64')}`;
    writeFileSync(join(cwd, 'answers'), secret(1), { mode: 0o600 });
    const good = await run(['doctor', '--json'], { cwd, env: { HOOK: secret(2) } });
    expect(good.code).toBe(0);
    expect(checks(good).get('channels')).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('webhook pager.example: usable\nsender pager: usable'),
    });
    chmodSync(join(cwd, 'answers'), 0o644);
    const bad = await run(['doctor'], { cwd });
    expect(bad.code).toBe(1);
    expect(bad.stdout).toContain('webhook pager.example: approvals.channels[1].webhook.secret: the variable HOOK is not set');
    expect(bad.stdout).toMatch(/sender pager: .*answers is open to other users \(mode 644\); run: chmod 600/);
    expect(good.stdout + bad.stdout + bad.stderr).not.toContain('whsec_');
    expect(fetched).not.toHaveBeenCalled();
  });

  describe('a mirror', () => {
    const MIRROR = '.countersign/ledger.jsonl';
    const mirrored = async (): Promise<string> => {
      const cwd = await project('', (text) => text.replace(/^ledger:.*$/m, (line) => `${line}\n  mirror: ${MIRROR}`));
      await calls(cwd, [{ tool: 'read_file' }]);
      return cwd;
    };
    const finding = async (cwd: string): Promise<{ code: number; check: unknown }> => {
      const ran = await run(['doctor', '--json'], { cwd });
      return { code: ran.code, check: checks(ran).get('mirror') };
    };

    it('that has everything', async () => {
      const cwd = await mirrored();
      expect(await finding(cwd)).toMatchObject({ code: 0, check: { status: 'ok', message: expect.stringMatching(/has all \d+ entries/) } });
      expect((await run(['verify', MIRROR, '--public-key', `${KEY}.pub`], { cwd })).code).toBe(0);
    });

    it('that lags, is torn, or is missing', async () => {
      const cwd = await mirrored();
      const file = join(cwd, MIRROR);
      const lines = readFileSync(file, 'utf8').split('\n');
      rmSync(`${file}.checkpoint`);
      writeFileSync(file, `${lines.slice(0, 2).join('\n')}\n{"at":`);
      const check = { status: 'warn', message: expect.stringMatching(/has 2 of \d+ entries .*6 bytes of a half written line/) };
      expect(await finding(cwd)).toMatchObject({ code: 0, check });
      rmSync(file);
      expect(await finding(cwd)).toMatchObject({ code: 0, check: { status: 'warn', message: expect.stringContaining('no mirror') } });
    });

    it('that is another', async () => {
      const cwd = await mirrored();
      writeFileSync(join(cwd, MIRROR), 'hello\n');
      expect(await finding(cwd)).toMatchObject({ code: 1, check: { status: 'fail', message: expect.stringContaining('MIRROR_DIVERGED') } });
      rmSync(join(cwd, MIRROR));
      expect(await finding(cwd)).toMatchObject({ code: 1, check: { status: 'fail', message: expect.stringContaining('MIRROR_DIVERGED') } });
      mkdirSync(join(cwd, MIRROR));
      expect(await finding(cwd)).toMatchObject({ code: 1, check: { status: 'fail', message: expect.stringContaining('MIRROR_FAILED') } });
    });
  });

  it('warns of audit mode', async () => {
    const cwd = folder();
    await run(['init', '--agent', 'a'], { cwd });
    const ran = await run(['doctor', '--json'], { cwd });
    expect(ran.code).toBe(0);
    expect(checks(ran).get('config')).toMatchObject({ status: 'warn', next: expect.stringContaining('mode: enforce') });
  });

  it.each([
    ['no configuration', (cwd: string) => rmSync(join(cwd, 'countersign.yaml')), 'config', 'CONFIG_NOT_FOUND'],
    ['a broken configuration', (cwd: string) => writeFileSync(join(cwd, 'countersign.yaml'), 'versoin: 1'), 'config', 'CONFIG_INVALID'],
    ['no key', (cwd: string) => rmSync(join(cwd, KEY)), 'key', 'KEY_NOT_FOUND'],
    ['a key others may read', (cwd: string) => chmodSync(join(cwd, KEY), 0o644), 'key', 'KEY_INVALID'],
    [
      'a ledger that is none',
      (cwd: string) => writeFileSync(join(cwd, '.countersign/ledger.db'), 'x'.repeat(5000)),
      'ledger',
      'LEDGER_UNREADABLE',
    ],
  ])('fails with %s', async (_, harm, name, code) => {
    const cwd = await project();
    harm(cwd);
    const ran = await run(['doctor', '--json'], { cwd });
    expect(ran.code).toBe(1);
    expect(json(ran)['status']).toBe('fail');
    expect(checks(ran).get(name)).toMatchObject({ status: 'fail', message: expect.stringContaining(`[${code}]`) });
    expect((await run(['doctor'], { cwd })).stdout).toContain('Something must be put right');
  });

  it('fails when the ledger was signed by another key', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    rmSync(join(cwd, KEY));
    rmSync(join(cwd, `${KEY}.pub`));
    await run(['keygen', '--out', KEY], { cwd });
    const ran = await run(['doctor', '--json'], { cwd });
    expect(checks(ran).get('ledger')).toMatchObject({ status: 'fail', message: expect.stringContaining('[CHECKPOINT_INVALID]') });
  });

  it('fails when the ledger belongs to another origin', async () => {
    const cwd = await project();
    await calls(cwd, [{ tool: 'read_file' }]);
    await run(['init', '--agent', 'other', '--force'], { cwd });
    const ran = await run(['doctor', '--json'], { cwd });
    expect(checks(ran).get('ledger')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('belongs to countersign.local/bot'),
    });
  });

  it('says which variables are in force, and shows no value it does not know', async () => {
    const cwd = await project();
    const env = { COUNTERSIGN_MODE: 'audit', COUNTERSIGN_TOKEN: 'hush-hush' };
    const ran = await run(['doctor', '--json'], { cwd, env });
    expect(checks(ran).get('environment')).toMatchObject({ status: 'warn', message: expect.stringContaining('COUNTERSIGN_MODE=audit') });
    expect(ran.stdout).toContain('COUNTERSIGN_TOKEN');
    expect(ran.stdout).not.toContain('hush-hush');
    const auto = await run(['doctor', '--json'], { cwd, env: { COUNTERSIGN_AUTO_APPROVE: '1' } });
    expect(checks(auto).get('environment')).toMatchObject({
      status: 'warn',
      next: expect.stringContaining('unset COUNTERSIGN_AUTO_APPROVE'),
    });
  });

  it('fails when the state directory cannot be made', async () => {
    const cwd = await project();
    writeFileSync(join(cwd, 'file'), '');
    const ran = await run(['doctor', '--json'], { cwd, env: { COUNTERSIGN_STATE_DIR: join(cwd, 'file/state') } });
    expect(checks(ran).get('state')?.status).toBe('fail');
  });

  it('tells how far the newest copy at an anchor reaches', async () => {
    const cwd = await project('', (text) => `${text}  anchors: [{ file: head.note }]\n`);
    const finding = async () => checks(await run(['doctor', '--json'], { cwd })).get('anchors');
    expect(await finding()).toMatchObject({ status: 'ok', message: '1 anchor will get copies once there is a ledger' });
    await calls(cwd, [{ tool: 'read_file' }]);
    expect(await finding()).toMatchObject({
      status: 'ok',
      message: expect.stringMatching(/^the newest copy covers (\d+) of \1 entries; /) as string,
    });
    // What was written without the anchor being reached.
    writeFileSync(join(cwd, 'head.note'), 'something else');
    await calls(cwd, [{ tool: 'read_file' }]);
    expect(await finding()).toMatchObject({ status: 'warn', next: expect.stringContaining('countersign anchor') as string });
  });

  it('tells which witness did not cosign, and one that could not be asked', async () => {
    const witness = await testWitness('w.example');
    const other = witnessKey('other.example');
    const configured = (url: string) => (text: string) =>
      `${text}  anchors: [{ witness: { url: ${witness.url}, vkey: ${witness.vkey} } }, { witness: { url: ${url}, vkey: ${other.vkey} } }]\n`;
    const cwd = await project('', configured('http://127.0.0.1:1'));
    knows(witness, readFileSync(join(cwd, '.countersign/ledger.key.pub'), 'utf8').trim());
    await calls(cwd, [{ tool: 'read_file' }], { witness: witnessAnchor });
    const ran = checks(await run(['doctor', '--json'], { cwd })).get('anchors');
    expect(ran).toMatchObject({ status: 'warn', message: expect.stringMatching(/; not cosigned by other\.example$/) as string });
    const insecure = await project('', configured('http://other.example'));
    const failed = checks(await run(['doctor', '--json'], { cwd: insecure })).get('anchors');
    expect(failed).toMatchObject({ status: 'fail', message: expect.stringContaining('must be https') as string });
  });

  it.skipIf(!hasOpenssl)('tells which timestamp authority is missing, and a certificate that is', async () => {
    const tsa = new TestTsa();
    tsa.issue('other-root', { as: 'authority' });
    const server = await tsaServer(tsa);
    const configured = (name: string) => (text: string) =>
      `${text}  anchors: [{ rfc3161: { url: ${server.url}, certificates: ${tsa.cwd}/${name}.pem } }]\n`;
    const cwd = await project('', configured('root'));
    await calls(cwd, [{ tool: 'read_file' }], { timestamp: timestampAnchor });
    const finding = async (): Promise<unknown> => checks(await run(['doctor', '--json'], { cwd })).get('anchors');
    expect(await finding()).toMatchObject({ status: 'ok', message: expect.stringContaining(', timestamped by the authority;') as string });
    const yaml = join(cwd, 'countersign.yaml');
    const text = readFileSync(yaml, 'utf8');
    writeFileSync(yaml, text.replace('/root.pem', '/other-root.pem'));
    expect(await finding()).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/; no timestamp of rfc3161 127\.0\.0\.1:\d+\/tsr$/) as string,
    });
    writeFileSync(yaml, text.replace('/root.pem', '/nowhere.pem'));
    expect(await finding()).toMatchObject({ status: 'fail', message: expect.stringContaining('nowhere.pem: not found') as string });
  });
});
