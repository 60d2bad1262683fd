import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fileAuditSink } from '../../src/audit-log/file-sink.ts';
import { scrubAuditLog } from '../../src/audit-log/scrub.ts';
import { existingFiles } from '../../src/audit-log/segments.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

const SECRET = 'the-customer-is-ada';

function filled(): string {
  const path = join(tempDirectory(), 'audit.jsonl');
  const sink = fileAuditSink({ path, maxBytes: 65_536, keep: 10, include: ['args', 'reason'] });
  for (let call = 0; call < 300; call++) {
    void sink.write({
      v: 1,
      at: '2026-01-01T00:00:00.000Z',
      pid: 1,
      event: 'decision',
      agent: 'a',
      session: 's',
      call: `call-${call}`,
      tool: { name: 't' },
      mode: 'enforce',
      effect: 'allow',
      would: 'allow',
      reason_code: 'POLICY_DEFAULT_ALLOW',
      policy: { id: 'p', hash: 'h' },
      entry: { of: call, leaf: 'l' },
      args: { call, text: call % 100 === 7 ? `${SECRET} \u00e9\u202e` : 'x'.repeat(500) },
      ...(call % 100 === 7 && { reason: `because ${SECRET}` }),
    });
  }
  void sink.close();
  return path;
}

const text = (path: string): string =>
  existingFiles(path)
    .map((file) => readFileSync(file, 'utf8'))
    .join('');
const FORGOTTEN = new Set(['call-7', 'call-107', 'call-207']);

describe('scrubbing an audit log', () => {
  it('leaves no byte of the clear text in any of its files, and every other line as it was', () => {
    const path = filled();
    expect(existingFiles(path).length).toBeGreaterThan(2);
    const before = text(path).split('\n');
    expect(scrubAuditLog(path, { calls: FORGOTTEN })).toEqual({ files: existingFiles(path).length, lines: 3 });
    expect(text(path)).not.toContain(SECRET);
    const after = text(path).split('\n');
    expect(after).toHaveLength(before.length);
    for (const [index, line] of after.entries()) {
      if (line === before[index]) continue;
      const { args: _args, reason: _reason, ...kept } = JSON.parse(before[index] ?? '') as Record<string, unknown>;
      expect(FORGOTTEN).toContain(kept['call']);
      expect(JSON.parse(line)).toEqual(kept);
      expect(line).toHaveLength(Buffer.byteLength(before[index] ?? ''));
    }
    expect(scrubAuditLog(path, { calls: FORGOTTEN }).lines).toBe(0);
  });

  it('does not disturb whoever is appending', () => {
    const path = filled();
    const sink = fileAuditSink({ path, keep: 10 });
    void sink.write({ v: 1, at: '2026-01-01T00:00:00.000Z', pid: 1, event: 'session', agent: 'a', session: 's', what: 'before' });
    const { ino } = statSync(path);
    scrubAuditLog(path, { calls: FORGOTTEN });
    void sink.write({ v: 1, at: '2026-01-01T00:00:00.000Z', pid: 1, event: 'session', agent: 'a', session: 's', what: 'after' });
    void sink.close();
    expect(statSync(path).ino).toBe(ino);
    expect(
      readFileSync(path, 'utf8')
        .trimEnd()
        .split('\n')
        .slice(-2)
        .map((line) => JSON.parse(line).what),
    ).toEqual(['before', 'after']);
  });

  it('blanks what is no record but names a call, also without an end', () => {
    const path = join(tempDirectory(), 'audit.jsonl');
    writeFileSync(
      path,
      `{"call":"call-7","args":{"x":"${SECRET}"\n{"call":"call-8","args":1}\nnull\n[]\n{"call":"call-7","args":"${SECRET}`,
    );
    expect(scrubAuditLog(path, { calls: FORGOTTEN }).lines).toBe(2);
    expect(readFileSync(path, 'utf8')).not.toContain(SECRET);
    expect(readFileSync(path, 'utf8')).toContain('{"call":"call-8","args":1}\nnull\n[]\n');
  });

  it('finds lines wherever they lie to the chunks it reads', () => {
    const path = join(tempDirectory(), 'audit.jsonl');
    const line = (call: number): string => `{"call":"call-${call}","args":"${SECRET}${'y'.repeat((call * 7919) % 60_000)}"}\n`;
    writeFileSync(path, Array.from({ length: 150 }, (_, call) => line(call)).join(''));
    expect(statSync(path).size).toBeGreaterThan(3_000_000);
    const calls = new Set(Array.from({ length: 150 }, (_, call) => `call-${call}`));
    expect(scrubAuditLog(path, { calls }).lines).toBe(150);
    expect(readFileSync(path, 'utf8')).not.toMatch(new RegExp(`${SECRET}|yy`));
  });

  it('has nothing to do without a log or without calls', () => {
    expect(scrubAuditLog(join(tempDirectory(), 'none.jsonl'), { calls: FORGOTTEN })).toEqual({ files: 0, lines: 0 });
    expect(scrubAuditLog(filled(), { calls: new Set() })).toEqual({ files: 0, lines: 0 });
    const folder = join(tempDirectory(), 'audit.jsonl');
    mkdirSync(folder);
    expect(scrubAuditLog(folder, { calls: FORGOTTEN })).toEqual({ files: 0, lines: 0 });
  });

  it('fails when its names stay locked, and says to run it again', () => {
    const path = filled();
    writeFileSync(`${path}.lock`, '');
    expect(() => scrubAuditLog(path, { calls: FORGOTTEN })).toThrow(
      expect.objectContaining({ code: 'AUDIT_LOG_FAILED', message: expect.stringContaining('run it again') }),
    );
  });
});
