import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
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

  it('says when none is configured', async () => {
    expect((await run(['anchor'], { cwd: await project() })).code).toBe(2);
  });
});
