import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCondition } from '../../src/policy/conditions.ts';
import { analyzeSql } from '../../src/sql/index.ts';
import { DESTRUCTIVE, READS, WRITES } from './corpus/sql.ts';
import { holds, run } from './functions.ts';

describe('sql() on the corpus', () => {
  it('sees what destroys or may, whichever way the rule is written', () => {
    expect(DESTRUCTIVE.filter((q) => holds('sql(args.q).destructive', { q }) !== true)).toEqual([]);
    expect(DESTRUCTIVE.filter((q) => holds('sql(args.q).readOnly', { q }) !== false)).toEqual([]);
    expect(DESTRUCTIVE.filter((q) => analyzeSql(q).reasons.length === 0)).toEqual([]);
  });
  it('lets ordinary reads be reads', () => {
    expect(
      READS.filter((q) => holds('sql(args.q).readOnly', { q }) !== true).map((q) => `${q} (${analyzeSql(q).reasons.join(', ')})`),
    ).toEqual([]);
    expect(READS.filter((q) => holds('sql(args.q).destructive || sql(args.q).undecided', { q }) !== false)).toEqual([]);
  });
  it('lets ordinary writes be writes', () => {
    expect(
      WRITES.filter((q) => holds('sql(args.q).destructive', { q }) !== false).map((q) => `${q} (${analyzeSql(q).reasons.join(', ')})`),
    ).toEqual([]);
    expect(WRITES.filter((q) => holds('sql(args.q).readOnly', { q }) !== false)).toEqual([]);
  });
  it('has as many ordinary texts as attacks', () => {
    expect(READS.length + WRITES.length).toBeGreaterThanOrEqual(DESTRUCTIVE.length);
  });
});

describe('sql()', () => {
  it.each([
    ['select * from users', ['users']],
    ['select * from Users u, ORDERS o', ['users', 'orders']],
    ['select * from "Users" join `orders` using (id)', ['Users', 'orders']],
    ['select * from public.users natural join app.orders o', ['public.users', 'app.orders']],
    ['select * from [dbo].[My Table]', ['dbo.My Table']],
    ['select * from db..users', ['db.users']],
    ['select * from (a join b on a.x = b.x), c', ['a', 'b', 'c']],
    ['select * from a join b on f.x = (a.y), c', ['a', 'b', 'c']],
    ['select * from (select * from inner_t) s, other', ['inner_t', 'other']],
    ['select (select max(x) from b), y from a where z in (select z from c)', ['b', 'a', 'c']],
    ['with x as (select * from a), y as (select * from x) select * from y join b on true', ['a', 'b']],
    ['select * from a union select * from b', ['a', 'b']],
    ['table users', ['users']],
    ['select * from only users', ['users']],
    ['select * from a left join lateral (select * from b) x on true', ['a', 'b']],
    ['select * from a cross apply b', ['a', 'b']],
    ['select extract(year from created) from orders', ['orders']],
    ["select substring(a from 2), trim(both 'x' from b) from t", ['t']],
    ['select a from t where b is distinct from c', ['t']],
    ['select * from generate_series(1, 2), users', ['users']],
    ['insert into db.users (a, b) select a, b from staging', ['db.users', 'staging']],
    ['insert into users values (1)', ['users']],
    ['replace into users (id) values (1)', ['users']],
    ['update users set a = 1 where id = 2', ['users']],
    ['update a join b on a.i = b.i set a.x = 1 where b.y = 2', ['a', 'b']],
    ['update a, b set a.x = 1 where a.i = b.i', ['a', 'b']],
    ['delete from a using b where a.i = b.i', ['a', 'b']],
    ['merge into t using s on t.i = s.i when matched then update set a = 1', ['t', 's']],
    ['truncate table a, b', ['a', 'b']],
    ['drop table if exists a, b cascade', ['a', 'b']],
    ['create table t (x int)', ['t']],
    ['create table t as select * from a', ['t', 'a']],
    ['alter table users add column x int', ['users']],
    ['describe users', ['users']],
    ['select * from a; select * from b', ['a', 'b']],
    ['select 1', []],
    ['select * from users for update', ['users']],
    ['insert into t (a) values (1) on conflict (a) do update set b = 2', ['t']],
    ['select * into copy_of from users', ['copy_of', 'users']],
    ['select * from users order by id desc, name', ['users']],
  ])('names the tables of %s', (text, tables) => expect([...analyzeSql(text).tables].sort()).toEqual([...tables].sort()));

  it.each([
    ['sql(args.q).statements == ["select", "drop"]', 'select 1; drop table x', true],
    ['sql(args.q).statements == ["with"]', 'with x as (select 1) select 1', true],
    ['sql(args.q).tables.all(t, t in ["orders", "items"])', 'select * from orders, items', true],
    ['sql(args.q).tables.all(t, t in ["orders", "items"])', 'select * from orders, secrets', false],
    ['sql(args.q).tables.exists(t, t == "secrets")', 'select * from a where b = (select c from secrets)', true],
    // neither of the two has an answer
    ['sql(args.q).tables.all(t, t in ["orders"])', "execute immediate 'select * from secrets'", 'not all known'],
    ['sql(args.q).tables.exists(t, t == "secrets")', "execute immediate 'select * from secrets'", 'not all known'],
    ['sql(args.q).tables.exists(t, t == "secrets")', 'select * from U&"\\0073ecrets"', 'not all known'],
    ['!sql(args.q).undecided && sql(args.q).tables.size() > 0', 'call f()', false],
    ['sql(args.q).readOnly && !sql(args.q).undecided', 'select 1', true],
    ['sql(args.q).destroys', 'drop table users; select evil()', true],
    ['sql(args.q).destroys', 'select evil()', false],
    ['sql(args.q).destroys', 'delete from users where id = 1', false],
    ['sql(args.q).destroys', "select 'drop table users", false],
    ['sql(args.n).readOnly', 'select 1', 'type error'],
    ['sql(args.nope).readOnly', 'select 1', 'missing key'],
    ['sql(args.long).destructive', 'select 1', 'at most 100000 characters'],
  ] as const)('%s of %s: %s', (source, q, expected) => {
    const got = holds(source, { q, n: 5, long: 'select 1 '.repeat(20_000) });
    if (typeof expected === 'boolean') expect(got).toBe(expected);
    else expect(got).toContain(expected);
  });

  it('never calls a text harmless because of what is put around it', () => {
    const around = fc.constantFrom(...READS, ...WRITES);
    const bad = fc.constantFrom(
      'drop table users',
      'delete from users',
      'truncate users',
      "copy users to program 'x'",
      'grant all on t to u',
      'select evil()',
    );
    const between = fc.constantFrom('\n;', '\n ; ', '\n;\n', '\n;;', '\n; -- x\n', '\n; /* x */ ');
    fc.assert(
      fc.property(around, between, bad, between, around, (before, first, middle, second, after) => {
        const text = `${before}${first}${middle}${second}${after}`;
        expect(holds('sql(args.q).destructive && !sql(args.q).readOnly', { q: text }), text).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('reads any text, or is undecided about it', () => {
    const condition = compileCondition('sql(args.q).readOnly || sql(args.q).destructive || !sql(args.q).undecided', 'w');
    const pieces = fc.constantFrom(
      ..."select ;drop ;table ;from ;where ;' ;\" ;` ;[ ;] ;( ;) ;, ;. ;; ;-- ;/* ;*/ ;/*! ;# ;$$ ;$a$ ;\\ ;\n ;go ;with ;as ;delete ;update ;set ;= ;1 ;x ;q'[ ;]' ;E' ;U& ;explain ;analyze ;copy ;to ;program ;into ;@x ;\0".split(
        ' ;',
      ),
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces, { maxLength: 40 }).map((some) => some.join(' ')),
      fc.array(pieces, { maxLength: 40 }).map((some) => some.join('')),
    );
    fc.assert(
      fc.property(text, (q) => {
        expect(run(condition, { q })).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
