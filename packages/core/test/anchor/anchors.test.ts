import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Anchor, AnchorContext } from '../../src/index.ts';
import { commandAnchor, fileAnchor } from '../../src/index.ts';
import { signCheckpoint } from '../../src/ledger/checkpoint.ts';
import { signerFromPem } from '../../src/ledger/keys.ts';
import { verifyLedger } from '../../src/sqlite/index.ts';
import { guardOn, LEDGER_PEM, LEDGER_VKEY, ORIGIN, openLedger, tempDirectory } from '../fixtures/ledger.ts';

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
      required: { maxAgeMs: 300 },
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
