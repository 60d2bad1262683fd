import { beforeAll, describe, expect, it } from 'vitest';
import { entriesOf } from '../../../core/test/verify/forge.ts';
import { writeHalted } from '../../../core/test/verify/halted-scenario.ts';
import { run } from '../harness.ts';

let ledger: string;
beforeAll(async () => {
  ledger = await writeHalted();
});

async function shown(index: number): Promise<string> {
  const ran = await run(['show', ledger, String(index)]);
  expect(ran.code, ran.stderr).toBe(0);
  return ran.stdout;
}

/** Everything that `show` says of entries of a kind. */
async function told(kind: string): Promise<string> {
  const texts: string[] = [];
  for (const [index, entry] of entriesOf(ledger).entries()) if (entry['kind'] === kind) texts.push(await shown(index + 1));
  return texts.join('\n');
}

describe('a ledger in which sessions were halted', () => {
  it('tells verdicts in plain words, with what was seen', async () => {
    const text = await told('verdict');
    expect(text).toContain('HALT by rule mass-deletion on a call of billing');
    expect(text).toContain('KILL by rule mass-deletion on something of billing, enforced as HALT');
    expect(text).toMatch(/FLAG by rule burst/);
    expect(text).toContain('what was seen, and why that is said of it');
    expect(text).toContain('deleted 20 files in 10 s');
    expect(text).toMatch(/mode +audit_only\n/);
    expect(text).not.toContain('policy said');
  });

  it('tells what was done', async () => {
    const text = await told('containment');
    expect(text).toContain('FROZEN 3 processes: stopped, waiting for an answer');
    expect(text).toMatch(/KILLED 2 processes/);
    expect(text).toContain('QUARANTINED 1 file: put aside');
    expect(text).toContain('incident  i2');
  });

  it('tells halts and who ended them', async () => {
    const text = await told('session');
    expect(text).toContain('HALTED session s1 of billing: no call is allowed until it is resumed');
    expect(text).toContain('HALTED every session of this ledger: no call is allowed until it is resumed');
    expect(text).toContain('RESUMED every session of this ledger by finance: calls are decided again');
  });

  it('finds what was seen', async () => {
    const ran = await run(['search', ledger, '--query', 'deleted 20', '--in', 'activity']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('"in":"activity"');
    expect((await run(['search', ledger, '--query', '/srv/new', '--in', 'details'])).stdout).toContain('"in":"details"');
  });

  it('is exported whole', async () => {
    for (const format of ['csv', 'ndjson', 'ocsf'])
      expect(await run(['export', ledger, '--format', format]), format).toMatchObject({ code: 0 });
  });
});
