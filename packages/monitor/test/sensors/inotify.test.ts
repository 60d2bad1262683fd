import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Observation } from '../../src/activity.ts';
import { native, nativeMissing } from '../../src/native/native.ts';
import { type InotifyOptions, inotifySensor, MAX_LISTED } from '../../src/sensors/inotify.ts';
import { MAX_WATCHES } from '../../src/sensors/watch-list.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';
import { until } from '../contain/workloads.ts';

if (native() === undefined) console.warn(`SKIPPED: ${nativeMissing()}`);

it('watches no more than it can', () => {
  for (const maxWatches of [0, -1, 1.5, MAX_WATCHES + 1, Number.NaN]) {
    expect(() => inotifySensor({ paths: [], maxWatches })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  }
  expect(() => inotifySensor({ paths: Array.from({ length: MAX_LISTED + 1 }, () => '/x') })).toThrow(
    expect.objectContaining({ code: 'OPTIONS_INVALID' }),
  );
});

describe.skipIf(native() === undefined)('inotify', () => {
  function folder(): string {
    const made = mkdtempSync(join(tmpdir(), 'countersign-inotify-'));
    onTestFinished(() => rmSync(made, { recursive: true, force: true }));
    return made;
  }

  async function watching(options: InotifyOptions) {
    const sensor = inotifySensor(options);
    const seen: Observation[] = [];
    const died: Error[] = [];
    await sensor.start({
      tree: new TrackedTree({ roots: [] }),
      emit: (observation) => void seen.push(observation),
      died: (error) => void died.push(error),
    });
    onTestFinished(() => sensor.stop());
    const told = (): string[] =>
      seen.map(({ action }) => {
        if (action.kind === 'rename') return `rename ${action.path} ${action.to}`;
        if (action.kind !== 'read' && action.kind !== 'write' && action.kind !== 'delete') return action.kind;
        return `${action.kind} ${action.path}${action.existed === undefined ? '' : ` existed=${action.existed}`}`;
      });
    return { sensor, seen, died, told };
  }

  it('tells every read of a listed file, as short as it may be, and by nobody', async () => {
    const secret = join(folder(), 'id_rsa');
    writeFileSync(secret, 'secret');
    const { told, seen, sensor } = await watching({ paths: [secret] });
    for (let i = 0; i < 200; i++) execOrRead(secret, i);
    await until(() => told().length >= 200);
    expect(told()).toEqual(Array.from({ length: 200 }, () => `read ${secret}`));
    expect(seen[0]).toMatchObject({ sensor: 'inotify', phase: 'after', attribution: { method: 'none' } });
    expect(seen.every((each) => each.actor === undefined)).toBe(true);
    expect(sensor.stats()).toEqual({ seen: 200, lost: 0 });
  });

  it('tells a read through a link to it, and through a descriptor that was open before', async () => {
    const inside = folder();
    const secret = join(inside, 'key');
    writeFileSync(secret, 'secret');
    symlinkSync(secret, join(inside, 'link'));
    const held = openSync(secret, 'r');
    const { told } = await watching({ paths: [secret] });
    readSync(held, Buffer.alloc(3));
    closeSync(held);
    await until(() => told().length === 1);
    readFileSync(join(inside, 'link'));
    await until(() => told().length === 2);
    linkSync(secret, join(inside, 'other-name'));
    readFileSync(join(inside, 'other-name'));
    await until(() => told().length === 3);
    expect(told()).toEqual([`read ${secret}`, `read ${secret}`, `read ${secret}`]);
  });

  it('tells a write and a deletion', async () => {
    const secret = join(folder(), 'key');
    writeFileSync(secret, 'secret');
    const { told } = await watching({ paths: [secret] });
    appendFileSync(secret, 'more');
    rmSync(secret);
    await until(() => told().some((each) => each.startsWith('delete')));
    expect(told()).toEqual([`read ${secret}`, `write ${secret}`, `delete ${secret} existed=true`]);
  });

  it('watches what is put in the place of a file: made anew, or renamed over it', async () => {
    const inside = folder();
    const secret = join(inside, 'key');
    writeFileSync(secret, 'one');
    const { told } = await watching({ paths: [secret] });
    rmSync(secret);
    writeFileSync(secret, 'two');
    await until(() => told().includes(`write ${secret}`));
    let before = told().length;
    readFileSync(secret);
    await until(() => told().slice(before).includes(`read ${secret}`));
    writeFileSync(join(inside, 'other'), 'three');
    renameSync(join(inside, 'other'), secret);
    await until(() => told().includes(`rename ${join(inside, 'other')} ${secret}`));
    before = told().length;
    readFileSync(secret);
    await until(() => told().slice(before).includes(`read ${secret}`));
  });

  it('watches a file that is not there yet, nor its folder', async () => {
    const inside = folder();
    const secret = join(inside, 'later', 'key');
    const { told, died } = await watching({ paths: [secret] });
    mkdirSync(join(inside, 'later'));
    writeFileSync(secret, 'x');
    // It is tried now and then: once it is watched, reads are told.
    await until(() => {
      readFileSync(secret);
      return told().includes(`read ${secret}`);
    });
    expect(died).toEqual([]);
  });

  it('tells each use of whatever is in a listed folder, also in one that is made later', async () => {
    const secrets = join(folder(), '.ssh');
    mkdirSync(secrets);
    writeFileSync(join(secrets, 'a\nb'), 'x');
    const { told } = await watching({ paths: [secrets] });
    readFileSync(join(secrets, 'a\nb'));
    rmSync(join(secrets, 'a\nb'));
    mkdirSync(join(secrets, 'more'));
    await until(() => told().some((each) => each.startsWith('delete')));
    expect(told()).toEqual([`read ${join(secrets, 'a\nb')}`, `delete ${join(secrets, 'a\nb')} existed=true`]);
    writeFileSync(join(secrets, 'more', 'key'), 'x');
    await until(() => told().includes(`write ${join(secrets, 'more', 'key')}`));
    renameSync(secrets, `${secrets}-moved`);
    await until(() => told().includes(`delete ${secrets} existed=true`) || told().some((each) => each.startsWith(`rename ${secrets} `)));
  });

  it('counts what is deleted in a workspace, and whether it was there before', async () => {
    const work = folder();
    mkdirSync(join(work, 'src', 'deep'), { recursive: true });
    mkdirSync(join(work, 'node_modules', 'x'), { recursive: true });
    for (const name of ['a', 'b', 'src/c', 'src/deep/d', 'node_modules/x/e', 'last']) writeFileSync(join(work, name), '');
    const { told } = await watching({ paths: [], workspace: work });
    writeFileSync(join(work, 'made'), '');
    renameSync(join(work, 'made'), join(work, 'src', 'made'));
    rmSync(join(work, 'src', 'made'));
    rmSync(join(work, 'node_modules'), { recursive: true });
    rmSync(join(work, 'a'));
    rmSync(join(work, 'src'), { recursive: true });
    renameSync(join(work, 'b'), join(folder(), 'b'));
    rmSync(join(work, 'last'));
    await until(() => told().some((each) => each.startsWith(`delete ${join(work, 'last')}`)));
    expect(told()).toEqual([
      `rename ${join(work, 'made')} ${join(work, 'src', 'made')}`,
      `delete ${join(work, 'src', 'made')} existed=false`,
      `delete ${join(work, 'a')} existed=true`,
      ...[`delete ${join(work, 'src', 'c')} existed=true`, `delete ${join(work, 'src', 'deep', 'd')} existed=true`].toSorted(
        (x, y) => told().indexOf(x) - told().indexOf(y),
      ),
      `delete ${join(work, 'b')} existed=true`,
      `delete ${join(work, 'last')} existed=true`,
    ]);
  });

  it('names what is in a folder that was renamed by its new name, and nothing in one that was moved away', async () => {
    const work = folder();
    for (const name of ['kept', 'away']) {
      mkdirSync(join(work, name));
      writeFileSync(join(work, name, 'x'), '');
    }
    writeFileSync(join(work, 'last'), '');
    const { told } = await watching({ paths: [], workspace: work });
    const elsewhere = folder();
    renameSync(join(work, 'kept'), join(work, 'renamed'));
    renameSync(join(work, 'away'), join(elsewhere, 'away'));
    await until(() => told().length === 2);
    rmSync(join(work, 'renamed', 'x'));
    rmSync(join(elsewhere, 'away', 'x'));
    rmSync(join(work, 'last'));
    await until(() => told().some((each) => each.startsWith(`delete ${join(work, 'last')}`)));
    expect(told()).toEqual([
      `rename ${join(work, 'kept')} ${join(work, 'renamed')}`,
      `delete ${join(work, 'away')} existed=true`,
      `delete ${join(work, 'renamed', 'x')} existed=true`,
      `delete ${join(work, 'last')} existed=true`,
    ]);
  });

  it('says when it does not watch all of a workspace', async () => {
    const work = folder();
    for (let i = 0; i < 20; i++) mkdirSync(join(work, `folder-${i}`));
    const told: number[] = [];
    const { sensor } = await watching({ paths: [], workspace: work, maxWatches: 15, onIncomplete: (unwatched) => told.push(unwatched) });
    expect(told).toEqual([6]);
    expect(sensor.stats().lost).toBe(6);
  });

  it('counts what the kernel dropped, and goes on', async () => {
    const secret = join(folder(), 'key');
    writeFileSync(secret, 'x');
    const { told, sensor } = await watching({ paths: [secret] });
    const held = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    // Three events each, and nobody takes them while this runs.
    for (let i = 0; i <= held / 3; i++) readFileSync(secret);
    await until(() => sensor.stats().lost === 1);
    const before = told().length;
    readFileSync(secret);
    await until(() => told().length > before);
  });

  it('tells nothing after it was stopped, and stops twice', async () => {
    const secret = join(folder(), 'key');
    writeFileSync(secret, 'x');
    const { told, sensor } = await watching({ paths: [secret] });
    await sensor.stop();
    await sensor.stop();
    readFileSync(secret);
    await new Promise((resolve) => setImmediate(resolve));
    expect(told()).toEqual([]);
  });
});

/** From this process, and now and then from another one. */
function execOrRead(path: string, i: number): void {
  if (i % 50 === 0) execFileSync('/bin/cat', [path]);
  else readFileSync(path);
}
