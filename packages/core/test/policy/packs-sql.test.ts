import { beforeAll, describe, expect, it } from 'vitest';
import { baselinePack } from '../../src/packs/baseline.ts';
import { databasePack } from '../../src/packs/database.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { type CaseOutcome, describeCase, rate, runCases } from './corpus/run-cases.ts';
import { DESTRUCTIVE, READS, WRITES } from './corpus/sql.ts';

const run = (texts: readonly unknown[], policy: Policy): Promise<readonly CaseOutcome[]> =>
  runCases(
    texts.map((sql) => ({ category: 'sql', calls: [{ tool: 'db/query', args: { sql } }] })),
    policy,
  );
const alarms = (outcomes: readonly CaseOutcome[]): readonly string[] => outcomes.filter(({ alarmed }) => alarmed).map(describeCase);
const quiet = (outcomes: readonly CaseOutcome[]): readonly string[] => outcomes.filter(({ alarmed }) => !alarmed).map(describeCase);

/** What is not caught calls what nobody knows, or is no SQL: that is for rules of the database's owner. */
const LEAST_CAUGHT = 0.72;

describe('SQL under the baseline pack', () => {
  let caught: readonly CaseOutcome[];
  beforeAll(async () => {
    caught = await run(DESTRUCTIVE, baselinePack());
    process.stdout.write(`baseline caught, SQL that destroys or may: ${rate(caught).toFixed(3)} of ${caught.length}\n`);
  });

  // With patterns of words alone, before sql(), 0.264 and one false alarm.
  it('catches most of what destroys or may', () => expect(rate(caught)).toBeGreaterThanOrEqual(LEAST_CAUGHT));

  it('asks about no ordinary read or write', async () => expect(alarms(await run([...READS, ...WRITES], baselinePack()))).toEqual([]));

  it('sees what stands beside what cannot be decided', async () => {
    const hidden = [
      'drop table users; select evil()',
      'select evil(); drop table users',
      'delete from users; call cleanup()',
      'begin delete from users; end',
      "execute immediate 'delete from users'",
      "select dblink('host=evil.example', 'truncate users')",
      "exec xp_cmdshell 'dir'",
      'begin execute immediate \'drop table "users"\'; end',
    ];
    expect(quiet(await run(hidden, baselinePack()))).toEqual([]);
  });

  it('asks about a statement that is too long to be read, and fails on none', async () => {
    const long = [
      `drop table users;${' '.repeat(200_000)}`,
      `${' '.repeat(200_000)}drop table users`,
      `/*${'x'.repeat(200_000)}*/ drop table users`,
      `insert into t values ${"('x'), ".repeat(60_000)}('y'); drop table t`,
      Array.from({ length: 8 }, (_, index) => `insert into t values (${index}, '${'\\'.repeat(60_000)}')`),
      [...Array.from({ length: 5000 }, (_, index) => `insert into t values (${index})`), 'drop table t'],
    ];
    const outcomes = await run(long, baselinePack());
    expect(quiet(outcomes)).toEqual([]);
    expect(outcomes.filter(({ denied }) => denied).map(describeCase)).toEqual([]);
  });

  it('lets a thousand ordinary statements in one call alone', async () => {
    const many = Array.from({ length: 3000 }, (_, index) => `insert into t (a) values (${index})`);
    expect(alarms(await run([many], baselinePack()))).toEqual([]);
  });
});

describe('SQL under the database pack', () => {
  it('asks about no ordinary read or write', async () =>
    expect(alarms(await run([...READS, ...WRITES], databasePack({ without: ['database.several'] })))).toEqual([]));

  it('lets nothing through but what is seen to only read, where nothing is to be written', async () => {
    const readOnly = databasePack({ writes: 'deny', without: ['database.several'] });
    expect(alarms(await run(READS, readOnly))).toEqual([]);
    expect(quiet(await run([...DESTRUCTIVE.filter((text) => text !== ''), ...WRITES], readOnly))).toEqual([]);
  });

  it('counts statements whatever stands in quotes before them', async () =>
    expect(quiet(await run(["select 'a'; select 2", 'select 1 drop table users', "select ';' from t; select 1"], databasePack()))).toEqual(
      [],
    ));
});
