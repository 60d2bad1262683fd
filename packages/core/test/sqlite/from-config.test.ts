import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { type Anchor, generateKey, parseConfig, type TimestampConfig, type WitnessConfig, writeKeyFile } from '../../src/index.ts';
import { guardFromConfig, openGuard, storeFromConfig, verifyLedger } from '../../src/sqlite/index.ts';
import { tempDirectory } from '../fixtures/ledger.ts';
import { testWitness } from '../fixtures/witness.ts';

const POLICY = 'policy: { id: p, default: deny, rules: [{ id: read, tools: [read], effect: allow }] }\n';

afterEach(() => {
  vi.unstubAllEnvs();
});

it('a configuration file becomes a guard that keeps its own files to itself', async () => {
  const directory = tempDirectory();
  const path = join(directory, 'countersign.yaml');
  writeFileSync(path, `version: 1\nagent: a\n${POLICY}ledger: { sign: none }\nmonitor: { log: { dir: seen } }\n`);
  const { guard, store, config } = openGuard(path);
  expect(config.ledger.path).toBe(join(directory, '.countersign', 'ledger.db'));
  expect(await guard.run({ tool: { name: 'read' }, args: { path: '/srv/x' } }, () => 'ran')).toBe('ran');
  for (const own of [path, config.ledger.path, join(directory, '.countersign'), join(directory, 'seen', 's1', 'activity-000001.jsonl')]) {
    await expect(guard.run({ tool: { name: 'read' }, args: { path: own } }, () => 1)).rejects.toMatchObject({
      refusal: { decision: { reasonCode: 'POLICY_DENY_OWN_FILES' } },
    });
  }
  await guard.close();
  await store.close();
});

it('no key: refused, unless the ledger is said to be unsigned', () => {
  const directory = tempDirectory();
  const config = parseConfig(`version: 1\nagent: a\n${POLICY}`, { path: join(directory, 'countersign.yaml') });
  expect(() => storeFromConfig(config)).toThrow(expect.objectContaining({ code: 'KEY_NOT_FOUND' }));
});

it('the writer a configuration names is the one that is used', async () => {
  const at = { path: join(tempDirectory(), 'c.yaml') };
  const store = storeFromConfig(parseConfig(`version: 1\nagent: a\n${POLICY}ledger: { sign: none, writer: worker }\n`, at));
  expect(store['ledger']['inline']).toBeUndefined();
  await store.close();
  expect(() => parseConfig(`version: 1\nagent: a\n${POLICY}ledger: { sign: none, writer: thread }\n`, at)).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
});

it('a witness is asked by whoever can, or the store is not opened', async () => {
  const folder = tempDirectory();
  const { privatePem } = generateKey('example.com/a');
  writeKeyFile(join(folder, 'ledger.key'), privatePem);
  const { vkey } = testWitness('w.example');
  const text = `version: 1\nagent: a\n${POLICY}ledger: { path: ledger.db, key: ledger.key, origin: example.com/a, anchors: [{ witness: { url: "https://w.example", vkey: ${vkey}, allow_insecure: true } }] }\n`;
  writeFileSync(join(folder, 'c.yaml'), text);
  const config = parseConfig(text, { path: join(folder, 'c.yaml') });
  const refused = expect.objectContaining({
    code: 'OPTIONS_INVALID',
    message: expect.stringContaining('witness: witnessAnchor') as string,
  });
  expect(() => storeFromConfig(config)).toThrow(refused);
  expect(() => openGuard(join(folder, 'c.yaml'))).toThrow(refused);
  expect(existsSync(config.ledger.path)).toBe(false);
  const asked: unknown[] = [];
  const witness = (configured: WitnessConfig): Anchor => {
    asked.push(configured);
    return { name: 'w', publish: async (note) => void asked.push(note) };
  };
  const { guard, store } = openGuard(join(folder, 'c.yaml'), {}, { witness });
  await guard.run({ tool: { name: 'read' }, args: {} }, () => 'ran');
  await guard.close();
  await store.close();
  expect(asked[0]).toEqual({ url: 'https://w.example', vkey, allowInsecure: true });
  expect(asked.at(-1)).toContain('example.com/a\n');
});

it('a timestamp authority is asked by whoever can, or the store is not opened; tools may not name its certificates', async () => {
  const folder = tempDirectory();
  const { privatePem } = generateKey('example.com/a');
  writeKeyFile(join(folder, 'ledger.key'), privatePem);
  const anchor = 'rfc3161: { url: "https://tsa.example", certificates: tsa.pem, policy: 1.2.3, allow_insecure: true }';
  const text = `version: 1\nagent: a\n${POLICY}ledger: { path: ledger.db, key: ledger.key, origin: example.com/a, anchors: [{ ${anchor} }] }\n`;
  writeFileSync(join(folder, 'c.yaml'), text);
  const config = parseConfig(text, { path: join(folder, 'c.yaml') });
  expect(() => storeFromConfig(config)).toThrow(
    expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.stringContaining('timestamp: timestampAnchor') as string }),
  );
  expect(existsSync(config.ledger.path)).toBe(false);
  const asked: unknown[] = [];
  const timestamp = (configured: TimestampConfig): Anchor => {
    asked.push(configured);
    return { name: 't', publish: async () => {} };
  };
  const { guard, store } = openGuard(join(folder, 'c.yaml'), {}, { timestamp });
  const named = guard.run({ tool: { name: 'read' }, args: { path: join(folder, 'tsa.pem') } }, () => 'ran');
  await expect(named).rejects.toMatchObject({ code: 'CALL_REFUSED' });
  await guard.close();
  await store.close();
  expect(asked).toEqual([{ url: 'https://tsa.example', certificates: join(folder, 'tsa.pem'), policy: '1.2.3', allowInsecure: true }]);
});

it('signs on an interval, and a command that ends signs at once', async () => {
  const folder = tempDirectory();
  const { privatePem, vkey } = generateKey('example.com/a');
  writeKeyFile(join(folder, 'ledger.key'), privatePem);
  const ledger =
    'ledger: { path: ledger.db, key: ledger.key, origin: example.com/a, sign: interval, sign_interval: 1h, sign_max_lag: 2h }\n';
  const config = parseConfig(`version: 1\nagent: a\n${POLICY}${ledger}`, { path: join(folder, 'c.yaml') });
  const store = storeFromConfig(config);
  await store.commit({ kind: 'record', body: { kind: 'note', topic: 't', data: 1 } });
  expect((await store.head()).note).not.toContain('\n\n');
  await storeFromConfig(config, { signNow: true }).close();
  await store.close();
  expect(await verifyLedger(config.ledger.path, { publicKeys: [vkey] })).toMatchObject({ status: 'valid', authorship: 'proven' });
});

it('a key under a passphrase opens by the file the environment names, and by nothing else', async () => {
  const directory = tempDirectory();
  const config = parseConfig(`version: 1\nagent: a\n${POLICY}ledger: { origin: x.example/log, key: l.key }\n`, {
    path: join(directory, 'c.yaml'),
  });
  const { privatePem, vkey } = generateKey('x.example/log', 'correct horse');
  writeKeyFile(config.ledger.key ?? '', privatePem, vkey);
  expect(() => storeFromConfig(config)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  const file = join(directory, 'passphrase');
  vi.stubEnv('COUNTERSIGN_PASSPHRASE_FILE', file);
  expect(() => storeFromConfig(config)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  writeFileSync(file, 'wrong horse\n');
  expect(() => storeFromConfig(config)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  writeFileSync(file, 'correct horse\nand more\n');
  const store = storeFromConfig(config);
  const guard = guardFromConfig(config, store);
  expect(await guard.authorize({ tool: { name: 'read' }, args: { path: file } })).toMatchObject({
    decision: { reasonCode: 'POLICY_DENY_OWN_FILES' },
  });
  await guard.close();
  await store.close();
});

it('an audit log as the configuration describes it, out of reach of tools', async () => {
  const directory = tempDirectory();
  const path = join(directory, 'countersign.yaml');
  const log = join(directory, 'logs', 'audit.jsonl');
  writeFileSync(
    path,
    `version: 1\nagent: a\n${POLICY}ledger: { sign: none, audit_log: { path: logs/audit.jsonl, max_bytes: 65536, keep: 2, include: [args], required: true } }\n`,
  );
  const { guard, store, config } = openGuard(path);
  expect(config.ledger.auditLog).toEqual({ path: log, maxBytes: 65_536, keep: 2, include: ['args'], required: true });
  expect(await guard.run({ tool: { name: 'read' }, args: { path: '/srv/x' } }, () => 'ran')).toBe('ran');
  for (const own of [log, `${log}.1`, `${log}.2`]) {
    expect(await guard.authorize({ tool: { name: 'read' }, args: { path: own } })).toMatchObject({
      decision: { reasonCode: 'POLICY_DENY_OWN_FILES' },
    });
  }
  await guard.close();
  await store.close();
  const lines = readFileSync(log, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map(({ event }) => String(event)).toSorted()).toEqual([...Array(4).fill('decision'), 'outcome', 'session', 'session']);
  expect(lines.find(({ event }) => event === 'decision')).toMatchObject({ args: { path: '/srv/x' } });
});

it.each([
  ['{}', 'ledger.audit_log'],
  ['{ path: a, max_bytes: 1000 }', 'max_bytes'],
  ['{ path: a, keep: 101 }', 'keep'],
  ['{ path: a, include: [results] }', 'include'],
  ['{ path: a, required: yes please }', 'required'],
  ['{ path: a, rotate: daily }', 'rotate'],
])('an audit log of %s is refused', (block, named) => {
  const text = `version: 1\nagent: a\n${POLICY}ledger: { sign: none, audit_log: ${block} }\n`;
  expect(() => parseConfig(text, { path: join(tempDirectory(), 'c.yaml') })).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(named) }),
  );
});

it.each(['.countersign/ledger.db', '.countersign/ledger.db-wal', '.countersign/ledger.key', 'mirror.jsonl', 'mirror.jsonl.checkpoint'])(
  'an audit log in the place of %s is refused',
  (place) => {
    const text = `version: 1\nagent: a\n${POLICY}ledger: { mirror: mirror.jsonl, audit_log: { path: ./${place} } }\n`;
    expect(() => parseConfig(text, { path: join(tempDirectory(), 'c.yaml') })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('ledger.audit_log.path') }),
    );
  },
);
