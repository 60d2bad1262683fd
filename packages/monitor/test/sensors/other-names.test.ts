import { closeSync, linkSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Activity } from '../../src/activity.ts';
import { ruleEngine } from '../../src/rules/engine.ts';
import { defaultScope } from '../../src/scope/load.ts';
import { OpenFiles } from '../../src/sensors/open-files.ts';
import { otherNames } from '../../src/sensors/other-names.ts';
import { procReader } from '../../src/tree/proc-fs.ts';

let folder: string;
const open: number[] = [];

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-names-')));
  for (const name of ['key', 'other']) writeFileSync(join(folder, name), name);
});
afterEach(() => {
  for (const fd of open.splice(0)) closeSync(fd);
  rmSync(folder, { recursive: true, force: true });
});

/** What this process is seen to do when it opens these files. */
function seen(guarded: readonly string[], ...opened: readonly string[]) {
  const reader = procReader();
  const me = { pid: process.pid, start: reader.stat(process.pid)?.start ?? 0 };
  const files = new OpenFiles(reader, otherNames(guarded.map((name) => join(folder, name))));
  files.look(me);
  for (const name of opened) open.push(openSync(join(folder, name), 'r'));
  return files.look(me).opened.filter(({ path }) => path.startsWith(folder));
}

const knowsInodes = process.platform === 'linux' && /^ino:/m.test(readFileSync('/proc/self/fdinfo/0', 'latin1'));

describe.skipIf(!knowsInodes)('files under other names (needs Linux 5.14)', () => {
  it('a hard link leads to the file it is another name of, for whoever made it, and is judged as that', () => {
    linkSync(join(folder, 'key'), join(folder, 'innocent'));
    const [action, ...more] = seen(['key', 'missing'], 'innocent');
    expect(more).toEqual([]);
    expect(action).toEqual({ kind: 'read', path: join(folder, 'innocent'), resolved: join(folder, 'key') });
    if (action === undefined) throw new Error('nothing was seen');
    const own = { files: [join(folder, 'key')] };
    const rules = ruleEngine(defaultScope(), { workspace: folder, home: '/home/nobody', own });
    const activity: Activity = {
      at: 1,
      seq: 1,
      actor: { pid: 7, start: 1 },
      sensor: 'proc-poll',
      phase: 'after',
      attribution: { method: 'none' },
      action,
    };
    expect(rules.judge(activity)).toMatchObject({ level: 'KILL', rule: 'own-files' });
    expect(rules.judge({ ...activity, seq: 2, action: { ...action, resolved: action.path } })).toMatchObject({ level: 'SAFE' });
  });

  it('another file is itself, also where nothing is guarded', () => {
    expect(seen(['key'], 'other')).toEqual([{ kind: 'read', path: join(folder, 'other'), resolved: join(folder, 'other') }]);
    expect(seen([], 'key')).toMatchObject([{ resolved: join(folder, 'key') }]);
  });
});
