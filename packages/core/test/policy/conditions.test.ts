import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import { ConditionFacts } from '../../src/policy/condition-facts.ts';
import { conditionMap, MAX_CONDITION_DEPTH } from '../../src/policy/condition-value.ts';
import { ConditionError, compileCondition, compileCost, MAX_CONDITION_CHARS } from '../../src/policy/conditions.ts';
import { policyInput } from './input.ts';

const ARGS = JSON.parse(`{
  "amount": 600, "n": 2, "f": 2.5, "zero": 0, "items": ["x", "y", 1, 2], "nums": [1, 2, 3], "empty": [], "m": {"a": 1},
  "s": "str", "z": null, "t": true, "red": "[redacted:iban]", "constructor": {"x": 1}, "toString": "own", "deep": {"a": {"b": [{"c": 7}]}}
}`);
const INPUT = policyInput({
  tool: { server: 'bank', name: 'refund', annotations: { readOnlyHint: true } },
  args: ARGS,
  findings: [{ kind: 'jwt', pointer: '/a' }],
  principal: 'ann',
  session: { id: 's1', labels: ['untrusted'], halted: false, startedAtMs: 1_000_000, version: 2 },
  atMs: 1_005_000,
});

function run(source: string): boolean | string {
  const condition = compileCondition(source, 'w');
  try {
    return condition(INPUT);
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error;
    return error.message;
  }
}

describe('conditions that hold', () => {
  it.each([
    'args.amount > 500',
    'args.amount >= 600',
    '500 < args.amount',
    'args.n + 1 == 3',
    '1 + args.n == 3',
    'args.n - 1 == 1',
    'args.amount * 2 >= 10',
    'args.amount * 2 == 1200',
    'args.f * 2 == 5',
    'args.n / 4 == 0.5',
    'args.n % 2 == 0',
    'args.nums.filter(x, x % 2 == 1).size() == 2',
    '-args.n < 0 && args.n > -3',
    'args.n == 2',
    '2 == args.n',
    'args.n == 2.0',
    'args.n != 3',
    'args.n in [1, 2]',
    'args.n in [1.0, 2.0]',
    'args.n + 1 in [3, 4]',
    '2 in args.nums',
    'args.n in args.nums',
    'args.n in [1, "a", 2]',
    'size(args.items) > 3',
    'size(args.items) == 4',
    'size(args.items) + 1 == 5',
    'size(args.nums) * 1.5 == 4.5',
    'args.items.size() == 4',
    "args.items[0] == 'x'",
    "args.items[args.n - 1] == 'y'",
    'args.nums[args.n] == 3',
    'args["amount"] == 600',
    'args.nums == [1, 2, 3]',
    'args.nums.map(x, x * 2) == [2, 4, 6]',
    'args.nums.exists(x, x > 2)',
    'args.nums.exists(x, x in [7, 1])',
    'args.nums.all(x, x + 1 > 1)',
    'args.nums.exists_one(x, x == 1)',
    'args.empty == []',
    'args.m == {"a": 1}',
    '!(args.m == {"b": 1})',
    '"a" in args.m',
    'args.deep.a.b[0].c == 7',
    'has(args.deep.a.b)',
    'has(args.n)',
    '!has(args.nope)',
    '!has(args.m.hasOwnProperty)',
    'has(args.note) && args.note.contains("x") || args.n == 2',
    'args.z == null',
    'args.n != null',
    'args.s + "x" == "strx"',
    'args.s.startsWith("s") && args.s.endsWith("r") && args.s.contains("t") && args.s.size() == 3',
    'args.red != "x"',
    'int(args.f) == 2',
    'double(args.n) == 2.0',
    'string(args.n) == "2"',
    'args.n == 2 ? args.t : args.nope',
    'cel.bind(q, args.n, q > 1)',
    "tool == 'refund' && server == 'bank' && agent == 'bot' && principal == 'ann' && mode == 'enforce'",
    "'untrusted' in session.labels && session.id == 's1'",
    'time - session.started == duration("5s")',
    'time > timestamp("1970-01-01T00:00:00Z")',
    'findings.exists(f, f.kind == "jwt" && f.pointer == "/a")',
    'annotations.readOnlyHint',
    '!has(annotations.destructiveHint)',
    // own keys only
    'args.constructor.x == 1',
    'args.toString == "own"',
    '!has(args.valueOf)',
    '!("hasOwnProperty" in args)',
    '!("__proto__" in args)',
  ])('%s', (source) => expect(run(source)).toBe(true));
});

describe('conditions that are errors, never false', () => {
  it.each([
    ['args.nope == 1', 'w: missing key at "args.nope"'],
    ['args.nope', 'missing key'],
    ['has(args.nope.x)', 'missing key'],
    ['args.valueOf == 1', 'missing key'],
    ['args.__proto__ == 1', 'missing key'],
    ['args.s > 5', 'type error at "args.s > 5"'],
    ['args.red > 5', 'type error'],
    ['args.red + 1 > 5', 'type error'],
    ['args.red == 5', 'compares different types'],
    ['args.red != 5', 'compares different types'],
    ['5 == args.red', 'compares different types'],
    ['args.red == true', 'compares different types'],
    ['args.s == time', 'compares different types'],
    ['time != args.s', 'compares different types'],
    ['args.n == duration("2s")', 'compares different types'],
    ['bytes("str") == args.s', 'compares different types'],
    ['args.s in [time]', 'compares different types'],
    ['args.red == [1]', 'compares different types'],
    ['args.m == args.red', 'compares different types'],
    ['args.t == 1', 'compares different types'],
    ['args.n == args.s', 'compares different types'],
    ['args.red in [1, 2]', '"in" compares different types'],
    ['args.red in args.nums', '"in" compares different types'],
    ['args.n in ["a"]', '"in" compares different types'],
    ['args.nums.exists(x, x in ["a"])', '"in" compares different types'],
    ['args.n / args.zero > 1', 'not a finite number'],
    ['args.zero / args.zero > 1', 'not a finite number'],
    ['!(args.zero / args.zero > 1)', 'not a finite number'],
    ['double("nan") > 1.0', 'not a finite number'],
    ['args.f % 2 == 0', '% needs whole numbers'],
    ['args.nums[9] == 1', 'index out of bounds'],
    ['args.nums[-1] == 1', 'index out of bounds'],
    ['args.nums[0.5] == 1', 'index out of bounds'],
    ['args.s', 'not true or false'],
    ['args.n', 'not true or false'],
    ['args.t && args.nope == 1', 'missing key'],
    ['args.n.startsWith("a")', 'type error'],
    ['timestamp(args.s) > time', 'timestamp() takes a date that exists'],
    ['time.getHours(args.s) > 1', 'the time zone is not known'],
    ['9007199254740993 + args.n > 1', 'too large to mix'],
    ['9223372036854775807 + 1 > 1', 'numeric overflow'],
    ['args.m[args.s] == 1', 'missing key at "args.m[args.s]"'],
  ])('%s', (source, message) => {
    expect(run(source)).toContain(message);
  });

  it('never quotes a value', () => {
    const condition = compileCondition('args.m[args.key] == 1 || bool(args.key) || duration(args.key) > duration("1s")', 'w');
    expect(() => condition(policyInput({ args: { m: {}, key: 'sk-secret-value' } }))).toThrow(/^(?!.*sk-secret)/);
  });

  it('follows CEL in absorbing errors that cannot matter', () => {
    expect(run('args.n == 2 || args.nope == 1')).toBe(true);
    expect(run('args.nope == 1 || args.n == 2')).toBe(true);
    expect(run('args.n == 3 && args.nope == 1')).toBe(false);
  });
});

describe('hostile arguments', () => {
  it.each([
    ['{"__proto__": {}}', 'args == {"x": 1}'],
    ['{"a": {"__proto__": {"x": 1}}}', 'args.a.x == 1'],
    ['{"a": [{"__proto__": null}]}', 'size(args.a) == 1'],
  ])('a key named __proto__ is an error: %s', (json, source) => {
    const condition = compileCondition(source, 'w');
    expect(() => condition(policyInput({ args: JSON.parse(json) }))).toThrow(ConditionError);
  });

  it.each([
    ['{"constructor": 1, "x": 2}', 'args.x == 2'],
    ['{"constructor": {"name": "Map"}, "x": 2}', 'args.x == 2'],
    ['{"x": {"constructor": null}}', 'args.x.constructor == null'],
    ['{"hasOwnProperty": 1, "x": 2}', 'args.x == 2 && has(args.hasOwnProperty)'],
    ['{"then": 1}', 'args.then == 1'],
    ['{"": 1}', 'args[""] == 1'],
  ])('%s is looked up by own keys', (json, source) => {
    expect(compileCondition(source, 'w')(policyInput({ args: JSON.parse(json) }))).toBe(true);
  });

  it('reads no inherited member', () => {
    const inherited: { x?: number } = Object.create({ x: 1 });
    expect(() => compileCondition('args.x == 1', 'w')(policyInput({ args: inherited as never }))).toThrow(ConditionError);
  });

  it.each([[NaN], [Infinity], [10n], [new Date()], [Promise.resolve(true)], [() => true], [undefined]])(
    'refuses what is not JSON: %s',
    (value) => {
      expect(() => compileCondition('args.x == true', 'w')(policyInput({ args: { x: value } as never }))).toThrow(ConditionError);
    },
  );

  it('refuses arguments that are too deep', () => {
    let args: unknown = 1;
    for (let depth = 0; depth <= MAX_CONDITION_DEPTH; depth++) args = [args];
    expect(() => compileCondition('args == 1', 'w')(policyInput({ args: args as never }))).toThrow(/nested deeper/);
  });

  it('shows the evaluator no entry to derive a type from', () => {
    const map = conditionMap([['a', [1]]]);
    expect([...map.entries()]).toEqual([]);
    expect([...map]).toEqual([['a', [1]]]);
    expect(map.size).toBe(1);
  });

  it('refuses a promise given as a raw argument', () => {
    const condition = compileCondition("raw['/x']", 'w', { raw: ['/x'] });
    expect(() => condition(policyInput({ raw: () => Promise.resolve(true) }))).toThrow(ConditionError);
  });
});

describe('raw arguments', () => {
  const raw = (pointer: string): unknown => (pointer === '/to' ? 'eve@evil.example' : undefined);

  it('shows declared pointers only, and absent ones as missing', () => {
    const condition = compileCondition("raw['/to'].endsWith('evil.example') && !('/cc' in raw)", 'w', { raw: ['/to', '/cc'] });
    expect(condition(policyInput({ raw }))).toBe(true);
    expect(() => compileCondition("raw['/cc'] == 'x'", 'w', { raw: ['/cc'] })(policyInput({ raw }))).toThrow(/missing key/);
  });

  it.each(["raw['/other'] == 1", "size(raw) == 0 && raw['/other'] == 1"])('refuses %s', (source) => {
    expect(() => compileCondition(source, 'w', { raw: ['/to'] })).toThrow(/raw pointer "\/other" is not declared/);
    expect(() => compileCondition(source, 'w')).toThrow(/raw/);
  });

  it('is not asked for pointers when nothing reads it', () => {
    const condition = compileCondition('args.n == 1', 'w', { raw: ['/to'] });
    const asked: string[] = [];
    condition(policyInput({ args: { n: 1 }, raw: (pointer) => asked.push(pointer) }));
    expect(asked).toEqual([]);
  });
});

describe('conditions that do not compile', () => {
  it.each([
    ['', 1, 1, 'empty'],
    ['   ', 1, 1, 'empty'],
    ['args.amount >', 1, 14, 'unexpected token'],
    ['args.amount > 5 )', 1, 17, 'unexpected character'],
    ['args.amount == 1 &&\n  arg.x == 2', 2, 3, 'unknown variable "arg", did you mean "args"?'],
    ['sesion.id == "x"', 1, 1, 'did you mean "session"?'],
    ['zzzzzzzzz', 1, 1, 'unknown variable "zzzzzzzzz" ('],
    ['session.lables == []', 1, 9, 'no such key: lables'],
    ['size(tool)', 1, 1, 'must be true or false, not int'],
    ['tool', 1, 1, 'must be true or false, not string'],
    ['1', 1, 1, 'must be true or false'],
    ['tool > 5', 1, 1, 'no such overload'],
    ['args.m.hasOwnProperty("a")', 1, 1, 'found no matching overload'],
    ['foo(args.x)', 1, 1, 'found no matching overload'],
    ["args.x.matches('(?=a)')", 1, 1, 'the pattern of matches() is no regular expression of RE2'],
    ["args.x.matches('(a)\\\\1')", 1, 1, 'the pattern of matches() is no regular expression of RE2'],
    ["args.n == 1 && args.l.exists(x, x.matches('['))", 1, 33, 'the pattern of matches() is no regular expression of RE2'],
    ['args.x.matches(args.y)', 1, 1, 'must be written in the rule, in quotes'],
    ["args.x.matches('a' + 'b')", 1, 1, 'must be written in the rule, in quotes'],
    ["args.x.matches('(abcdefgh){300}')", 1, 1, 'too large'],
    ["args.x.matches('')", 1, 1, 'must have 1 to 500 characters'],
    ['bytes(args.s).json().x == 1', 1, 1, 'json() is not available'],
    ['__proto__ == 1', 1, 1, 'reserved'],
    ['constructor == 1', 1, 1, 'unknown variable'],
    ['globalThis == 1', 1, 1, 'unknown variable'],
    ['"a', 1, 1, ''],
    ['args.x = 1', 1, 8, ''],
    [`[${'1,'.repeat(600)}1] == []`, 1, 1002, 'maxListElements'],
    [`${'('.repeat(100)}true${')'.repeat(100)}`, 1, 65, 'maxDepth'],
    [`true${' '.repeat(MAX_CONDITION_CHARS)}`, 1, 1, `longer than ${MAX_CONDITION_CHARS}`],
  ])('%s', (source, line, column, message) => {
    let error: unknown;
    try {
      compileCondition(source, 'policy rule "r" when');
    } catch (caught) {
      error = caught;
    }
    expect(CountersignError.is(error) && error.code).toBe('CONDITION_INVALID');
    expect(error).toMatchObject({ message: expect.stringMatching(/^policy rule "r" when: /), details: { line, column } });
    expect(String(error)).toContain(message);
  });
});

describe('costs', () => {
  it.each([
    ['args.x', 1.5, 1_500_000],
    ['args.x', 0, 0],
    ['args.x', 0.1, 100_000],
    ['args.x * 2', 0.25, 500_000],
    ['args.x + 1', 1, 2_000_000],
    ['3', 0, 3_000_000],
    ['args.x > 5 ? args.x : 1.0', 6, 6_000_000],
    ['size(tool)', 0, 6_000_000],
  ])('%s of %s is %s', (source, x, expected) => expect(compileCost(source, 'w')(policyInput({ args: { x } }))).toBe(expected));

  it.each([
    ['args.x', -1, 'negative'],
    ['args.x', 1e-7, 'finer than'],
    ['args.x * 3', 0.1, 'finer than'],
    ['args.x', 1e300, 'at most'],
    ['args.x', '5', 'not a number'],
    ['args.x', '[redacted:iban]', 'not a number'],
    ['args.x', null, 'not a number'],
    ['args.x', true, 'not a number'],
    ['args.y', 1, 'missing key'],
    ['1 / args.x', 0, 'finite'],
    ['9223372036854775807', 0, 'out of range'],
  ])('%s of %j throws', (source, x, message) => {
    expect(() => compileCost(source, 'budget "b" cost')(policyInput({ args: { x } }))).toThrow(message);
    expect(() => compileCost(source, 'budget "b" cost')(policyInput({ args: { x } }))).toThrow(ConditionError);
  });

  it.each(['tool', 'true', 'args.x >'])('does not compile: %s', (source) =>
    expect(() => compileCost(source, 'w')).toThrow(CountersignError),
  );
});

describe('facts of one call', () => {
  it('are shared between conditions', () => {
    const input = policyInput({ args: { n: 1, deep: { list: [{ a: 1 }] } } });
    const facts = new ConditionFacts(input);
    expect(facts.args()).toBe(facts.args());
    expect(facts.variables([])).toBe(facts.variables([]));
    expect(compileCondition('args.n == 1', 'w')(input, facts)).toBe(true);
    expect(compileCondition('args.deep.list[0].a == 2', 'w')(input, facts)).toBe(false);
  });

  it('look only where the condition looks', () => {
    const args = JSON.parse('{"n": 1, "other": {"__proto__": {}}}');
    expect(compileCondition('args.n == 1', 'w')(policyInput({ args }))).toBe(true);
    expect(compileCondition('has(args.other)', 'w').bind(null, policyInput({ args }))).toThrow('__proto__');
  });

  it('compare and walk whole objects', () => {
    const args = JSON.parse('{"a": {"x": 1, "y": [{"z": null}]}, "b": {"y": [{"z": null}], "x": 1}, "c": {"constructor": 1, "x": 1}}');
    const holds = (source: string) => compileCondition(source, 'w')(policyInput({ args }));
    expect(holds('args.a == args.b && args.a != args.c && size(args.a) == 2')).toBe(true);
    expect(holds("args.a == {'x': 1, 'y': [{'z': null}]} && args.a != {'x': 1}")).toBe(true);
    expect(holds("args.exists(key, key == 'c') && args.a.all(key, key in ['x', 'y'])")).toBe(true);
  });
});

describe('matches()', () => {
  it.each<[string, unknown, boolean | 'error']>([
    ["args.x.matches('b')", 'abc', true],
    ["args.x.matches('^b')", 'abc', false],
    ["args.x.matches('^[A-Z]{2}-[0-9]+$')", 'DE-77', true],
    ["!args.x.matches('(?i)^de-')", 'DE-77', false],
    ["args.x.matches('(a+)+$')", `${'a'.repeat(50_000)}b`, false],
    ["args.x.exists(x, x.matches('^b$'))", ['a', 'b'], true],
    ["args.x.matches('1')", 1, 'error'],
    ["args.x.matches('a')", null, 'error'],
    ["args.x.matches('a')", ['a'], 'error'],
    ["args.y.matches('a')", 'a', 'error'],
  ])('%s on %j', (source, x, expected) => {
    const run = (): boolean => compileCondition(source, 'test')(policyInput({ args: { x: x as Json } }));
    if (expected === 'error') expect(run).toThrow(ConditionError);
    else expect(run()).toBe(expected);
  });
});
