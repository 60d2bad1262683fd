import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { AnchorPublisher } from '../../src/anchor/publisher.ts';
import type { Anchor, AnchorContext } from '../../src/index.ts';
import { commandAnchor, fileAnchor, parseNote } from '../../src/index.ts';
import { parseCheckpoint, signCheckpoint, type TreeHead } from '../../src/ledger/checkpoint.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { verifyConsistency } from '../../src/ledger/merkle.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';
import { testWitness } from '../fixtures/witness.ts';

const NODE = process.execPath;
const note = (size: number, root = 'ab'.repeat(32), origin = ORIGIN): string =>
  signCheckpoint({ origin, size, root }, signerFromPem(LEDGER_PEM, ORIGIN));
const context = (signal = new AbortController().signal): AnchorContext => ({ signal, consistencyProof: async () => [] });
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((done) => setImmediate(done));
};
const refused = expect.objectContaining({ code: 'LEDGER_NOT_ANCHORED' });

describe('a file', () => {
  it('holds the newest checkpoint, and moves forward only', async () => {
    const file = join(tempDirectory(), 'head.note');
    const anchor = fileAnchor(file);
    await anchor.publish(note(5), context());
    await anchor.publish(note(7), context());
    expect(readFileSync(file, 'utf8')).toBe(note(7));
    await expect(anchor.publish(note(6), context())).rejects.toThrow('rolled back');
    await expect(anchor.publish(note(7, 'cd'.repeat(32)), context())).rejects.toThrow('forked');
    await expect(anchor.publish(note(8, undefined, 'other.example/log'), context())).rejects.toThrow('another log');
    expect(readFileSync(file, 'utf8')).toBe(note(7));
  });

  it.each<[string, (file: string) => void]>([
    ['something else', (file) => writeFileSync(file, 'mine')],
    ['a folder', (file) => mkdirSync(file)],
    ['too much', (file) => writeFileSync(file, 'x'.repeat(1_000_002))],
  ])('is left alone when it holds %s', async (_name, lay) => {
    const file = join(tempDirectory(), 'head.note');
    lay(file);
    await expect(fileAnchor(file).publish(note(5), context())).rejects.toThrow(/no checkpoint|not a regular file|larger than/);
  });
});

describe('a command', () => {
  it('gets the note on its standard input, and little of our environment', async () => {
    const out = join(tempDirectory(), 'out');
    process.env['ANCHOR_SECRET'] = 'hunter2';
    const script = `const fs = require('node:fs'); fs.writeFileSync(${JSON.stringify(out)}, fs.readFileSync(0, 'utf8') + String(process.env.ANCHOR_SECRET))`;
    await commandAnchor([NODE, '-e', script]).publish(note(5), context());
    delete process.env['ANCHOR_SECRET'];
    expect(readFileSync(out, 'utf8')).toBe(`${note(5)}undefined`);
  });

  it.each<[string, string[]]>([
    ['that fails', [NODE, '-e', 'process.exit(3)']],
    ['that is not there', ['/no/such/program']],
    ['that writes without end', [NODE, '-e', "for (;;) require('node:fs').writeSync(1, 'x'.repeat(65536))"]],
  ])('%s is an error without its output', async (_name, command) => {
    await expect(commandAnchor(command).publish(note(5), context())).rejects.toEqual(refused);
  });

  it('that hangs is stopped', async () => {
    const stop = new AbortController();
    const running = commandAnchor([NODE, '-e', 'setInterval(() => {}, 1000)']).publish(note(5), context(stop.signal));
    stop.abort();
    await expect(running).rejects.toEqual(refused);
  });

  it('must be one', () => {
    expect(() => commandAnchor([])).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('a store with anchors', () => {
  it('copies after commits and on closing, and keeps what it copied', async () => {
    const [path, file] = [join(tempDirectory(), 'ledger.db'), join(tempDirectory(), 'head.note')];
    const store = openLedger(path, { anchors: { anchors: [fileAnchor(file)], everyMs: 1 } });
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    await guard.close();
    await store.close();
    const report = await verifyLedger(path, { publicKeys: [LEDGER_VKEY], against: readFileSync(file, 'utf8') });
    expect(report).toMatchObject({ status: 'valid', authorship: 'proven', end: 'proven', warnings: [] });
    await openLedger(path).close();
  });

  it('refuses calls once copies are late, where they are required, and allows them again', async () => {
    let isUp = false;
    const anchor: Anchor = {
      name: 'test',
      publish: async () => {
        if (!isUp) throw new Error('down');
      },
    };
    const errors: string[] = [];
    const anchors = {
      anchors: [anchor],
      everyMs: 1,
      required: { maxAgeMs: 1_000 },
      onError: (error: Error, name: string) => void errors.push(`${name}: ${error.message}`),
    };
    const store = openLedger(join(tempDirectory(), 'ledger.db'), { anchors });
    const guard = guardOn(store);
    await guard.run({ tool: { name: 'read' }, args: {} }, () => 1);
    await until(() => store['objection']() !== undefined);
    await expect(guard.run({ tool: { name: 'late' }, args: {} }, () => 1)).rejects.toMatchObject({ code: 'CALL_REFUSED' });
    await expect(store.commit({ kind: 'decide', body: { effect: 'allow' } } as never)).rejects.toEqual(refused);
    expect(errors[0]).toBe('test: down');
    isUp = true;
    await until(() => store['objection']() === undefined);
    expect(await guard.run({ tool: { name: 'again' }, args: {} }, () => 'ran')).toBe('ran');
    await guard.close();
    await store.close();
  });

  it('never waits for one that hangs', async () => {
    const anchor: Anchor = { name: 'hung', publish: () => new Promise(() => {}) };
    const store = openLedger(join(tempDirectory(), 'ledger.db'), { anchors: { anchors: [anchor], everyMs: 1, timeoutMs: 20 } });
    const guard = guardOn(store);
    expect(await guard.run({ tool: { name: 'read' }, args: {} }, () => 'ran')).toBe('ran');
    expect(await store.publishAnchors()).toMatchObject([{ anchor: 'hung', error: { code: 'LEDGER_NOT_ANCHORED' } }]);
    await guard.close();
    await store.close();
  });
});

it('a ledger that cannot be read for its head ends nothing', async () => {
  const errors: string[] = [];
  const head = (): never => {
    throw new Error('the disk is gone');
  };
  const anchors = {
    anchors: [{ name: 'a', publish: async () => {} }],
    everyMs: 1,
    onError: (error: Error) => void errors.push(error.message),
  };
  const publisher = new AnchorPublisher(anchors, { head, size: head, keep: async () => true, consistencyProof: async () => [] });
  publisher.committed();
  await expect(publisher.publish()).rejects.toThrow('the disk is gone');
  await publisher.close();
  expect(errors).toContain('the disk is gone');
});

describe('what an anchor gives back', () => {
  const witness = testWitness('witness.example');
  const publicKeys = [LEDGER_VKEY, witness.vkey];
  const cosigning = (before: () => Promise<void> = async () => {}): Anchor => ({
    name: 'test',
    publish: async (given) => {
      await before();
      return given + witness.line(given, 1_767_225_600);
    },
  });
  const kept = (path: string): unknown => {
    const database = new Database(path, { readonly: true });
    const rows = database.prepare('SELECT size, keep FROM checkpoints ORDER BY size').all();
    database.close();
    return rows;
  };
  const read = { tool: { name: 'read' }, args: {} };
  const rarely = { everyMs: 3_600_000 };

  it('is kept in place of the newest checkpoint, added to once, and verified', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const store = openLedger(path, { anchors: { anchors: [cosigning(), cosigning()], ...rarely } });
    const guard = guardOn(store);
    await guard.run(read, () => 1);
    await store.commit({ kind: 'record', body: { kind: 'note', topic: 'all of it is written', data: 1 } });
    const { size } = await store.head();
    expect(await store.publishAnchors()).toEqual([
      { anchor: 'test', size },
      { anchor: 'test', size },
    ]);
    const head = await store.head();
    expect(parseNote(head.note).signatures.map(({ name }) => name)).toEqual([ORIGIN, 'witness.example']);
    expect(await verifyLedger(path, { publicKeys })).toMatchObject({
      status: 'valid',
      witnesses: [{ name: 'witness.example', size, at: '2026-01-01T00:00:00.000Z' }],
    });
    // The next commit leaves it where it is.
    await guard.run(read, () => 2);
    await guard.close();
    await store.close();
    expect(kept(path)).toContainEqual({ size, keep: 'anchor' });
    await openLedger(path).close();
  });

  it('is kept beside the newest, when others came meanwhile', async () => {
    const path = join(tempDirectory(), 'ledger.db');
    const meanwhile = { by: async (): Promise<void> => {} };
    const store = openLedger(path, { anchors: { anchors: [cosigning(() => meanwhile.by())], ...rarely } });
    const guard = guardOn(store);
    await guard.run(read, () => 1);
    await store.commit({ kind: 'record', body: { kind: 'note', topic: 'all of it is written', data: 1 } });
    const { size } = await store.head();
    meanwhile.by = async () => void (await guard.run(read, () => 2));
    expect(await store.publishAnchors()).toEqual([{ anchor: 'test', size }]);
    expect((await store.head()).size).toBeGreaterThan(size);
    expect(kept(path)).toContainEqual({ size, keep: 'anchor' });
    expect(await verifyLedger(path, { publicKeys })).toMatchObject({ status: 'valid', witnesses: [{ size }] });
    meanwhile.by = async () => {};
    await guard.close();
    await store.close();
  });

  it.each<[string, (given: string) => string]>([
    ['another log', () => note(1, undefined, 'other.example/log')],
    ['another root', () => note(1)],
    ['more entries than there are', () => note(1000)],
    ['its text alone', (given) => given.split('\n\n')[0] as string],
    ['the signature of another key', (given) => given.replace(/(— \S+ ).*/, `$1${'A'.repeat(91)}=`)],
    ['no note', () => 'thanks'],
    ['nothing', () => ''],
    ['a flood', (given) => given + witness.line(given, 1).repeat(100)],
  ])('is an error when it is %s, and nothing of it is kept', async (_name, make) => {
    const path = join(tempDirectory(), 'ledger.db');
    const anchor: Anchor = { name: 'liar', publish: async (given) => make(given) };
    const store = openLedger(path, { anchors: { anchors: [anchor], ...rarely } });
    await store.commit({ kind: 'record', body: { kind: 'note', topic: 't', data: 1 } });
    const head = await store.head();
    expect(await store.publishAnchors()).toMatchObject([{ anchor: 'liar', error: { code: 'LEDGER_NOT_ANCHORED' } }]);
    expect(await store.head()).toEqual(head);
    await store.close();
    expect(kept(path)).toEqual([{ size: head.size, keep: null }]);
  });

  it.each(['inline', 'worker'] as const)('may rest on proofs of what another writer added (writer: %s)', async (writer) => {
    const path = join(tempDirectory(), 'ledger.db');
    const proofs: (readonly string[])[] = [];
    let before: TreeHead | undefined;
    const anchor: Anchor = {
      name: 'proving',
      publish: async (given, its) => {
        const now = parseCheckpoint(parseNote(given).text);
        if (before !== undefined) {
          const proof = await its.consistencyProof(before.size, now.size);
          expect(verifyConsistency({ size1: before.size, root1: before.root, size2: now.size, root2: now.root, proof })).toBe(true);
          proofs.push(proof);
        }
        before = now;
      },
    };
    const store = openLedger(path, { writer, anchors: { anchors: [anchor], ...rarely } });
    const other = openLedger(path);
    const record = { kind: 'record', body: { kind: 'note', topic: 't', data: 1 } } as const;
    await store.commit(record);
    await store.publishAnchors();
    for (let i = 0; i < 5; i++) await other.commit(record);
    expect(await store.publishAnchors()).toEqual([{ anchor: 'proving', size: (await other.head()).size }]);
    await store.commit(record);
    expect(await store.publishAnchors()).toEqual([{ anchor: 'proving', size: (await other.head()).size }]);
    expect(proofs.length).toBeGreaterThanOrEqual(2);
    await other.close();
    await store.close();
  });
});
