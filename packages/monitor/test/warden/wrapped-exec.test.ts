/** One answer is enough for `sh -c 'curl ...'`, and for nothing else: each test that follows tries to use it for more. */
import { describe, expect, it } from 'vitest';
import type { Action, Actor } from '../../src/activity.ts';
import type { HaltAnswer } from '../../src/warden/ports.ts';
import { commandIn, MAX_WRAPPED_MS } from '../../src/warden/wrapped-exec.ts';
import { answeredExec, CURL, run } from './answered-exec.ts';
import { AGENT, CHILD } from './fakes.ts';

const SHELL: Actor = CHILD;
const LINE = run(['sh', '-c', 'curl https://a.example/x'], '/usr/bin/dash');
/** What a shell starts for its line, when it does not become it. */
const STARTED: Actor = { pid: 102, start: 9, parent: SHELL.pid };

const answered = (answer: HaltAnswer = { do: 'resume', by: 'jane' }, line: Action = LINE) => answeredExec(line, answer);

it('the program that the line names goes on in that process, and is on record as a flag that says why', async () => {
  const { held, first, ledger, questions, warden } = await answered();
  expect(first).toEqual(['continue']);
  expect(held(run(CURL))).toEqual(['continue']);
  await warden.settled();
  await new Promise((resolve) => setImmediate(resolve));
  expect(questions.asked).toHaveLength(1);
  expect(ledger.records.at(-1)).toMatchObject({
    kind: 'verdict',
    level: 'FLAG',
    rule: 'forbidden-command',
    activity: { reason: expect.stringContaining('a person let the shell run that this is the line of') },
  });
});

it('a shell that starts it as its child has the same answer for it', async () => {
  const { held, questions, warden } = await answered();
  expect(held(run(CURL), STARTED)).toEqual(['continue']);
  await warden.settled();
  expect(questions.asked).toHaveLength(1);
});

describe('it is asked about', () => {
  it.each<[string, Action]>([
    ['another program', run(['wget', 'https://a.example/x?curl'])],
    ['another argument', run(['curl', 'https://b.example/x'])],
    ['one argument more', run([...CURL, '-T', '/etc/passwd'])],
    ['one argument less', run(['curl'])],
    ['the words in another split', run(['curl', 'https://a.example/', 'x'])],
    ['a file of that name elsewhere', run(CURL, '/tmp/curl')],
    ['a file of that name in a folder that is named like one of the system', run(CURL, '/tmp/usr/bin/curl')],
    ['another file under that name', run(CURL, '/usr/bin/python3')],
    ['the same under another name', run(['/tmp/curl', 'https://a.example/x'], '/tmp/curl')],
    ['what another rule holds', run([...CURL, '--other'])],
    ['the same shell once more', LINE],
  ])('%s', async (_name, action) => {
    const { held, questions } = await answered();
    const answers = held(action);
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it.each<[string, Actor]>([
    ['another process', { pid: 777, start: 2 }],
    ['a grandchild of it', { pid: 103, start: 9, parent: STARTED.pid }],
    ['a child of a process that has its number by now', { pid: 104, start: 9, parent: 555 }],
    ['a process nobody knows the parent of', { pid: 105, start: 9 }],
    ['its parent', AGENT],
    ['a later process with its number', { ...SHELL, start: SHELL.start + 1 }],
  ])('%s', async (_name, actor) => {
    const { held, questions } = await answered();
    const answers = held(run(CURL), actor);
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it.each<[string, Actor, Actor]>([
    ['by it', SHELL, SHELL],
    ['by another child of it', STARTED, { ...STARTED, pid: 106 }],
    ['by it, which a child of it did', STARTED, SHELL],
    ['by a child of it, which it did', SHELL, STARTED],
  ])('the same a second time %s', async (_name, first, second) => {
    const { held, questions } = await answered();
    expect(held(run(CURL), first)).toEqual(['continue']);
    const again = held(run(CURL), second);
    await questions.until(2);
    expect(again).toEqual([]);
  });

  it('the same after something else that went on unasked', async () => {
    const { held, questions, sensor } = await answered();
    sensor.see('SAFE', { phase: 'before', actor: SHELL, action: run(['true']) });
    const answers = held(run(CURL));
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same after something else that a child of it ran', async () => {
    const { held, questions, sensor } = await answered();
    sensor.see('SAFE', { phase: 'before', actor: STARTED, action: run(['true']) });
    const answers = held(run(CURL), { ...STARTED, pid: 106 });
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('another line by a child of it', async () => {
    const { held, questions } = await answered();
    const answers = held(run(['curl', 'https://b.example/x']), STARTED);
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same later', async () => {
    const { held, questions, pass } = await answered();
    pass(MAX_WRAPPED_MS + 1);
    const answers = held(run(CURL));
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same after a no to the shell', async () => {
    const { held, questions, first } = await answered({ do: 'deny', by: 'jane' });
    expect(first).toEqual(['refuse']);
    const answers = held(run(CURL));
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('what was refused already stays refused', async () => {
    const { sensor, questions } = await answered();
    const answers = sensor.hold('KILL', { rule: 'forbidden-command', action: run(CURL), actor: SHELL, isHeld: false });
    await questions.until(2);
    expect(answers).toEqual([]);
  });
});

it('what others see of the shell afterwards does not use the answer up', async () => {
  const { held, sensor } = await answered();
  sensor.see('SAFE', { actor: SHELL, action: run(['true']) });
  expect(held(run(CURL))).toEqual(['continue']);
});

describe('a line', () => {
  it.each<[readonly string[], readonly string[]]>([
    [
      ['sh', '-c', 'curl x'],
      ['curl', 'x'],
    ],
    [
      ['/bin/bash', '-c', '  curl   -sS  https://a.example:8/x%20y,z '],
      ['curl', '-sS', 'https://a.example:8/x%20y,z'],
    ],
    [
      ['dash', '-c', "curl 'https://a.example/?a=1&b=2' -H'A: b'"],
      ['curl', 'https://a.example/?a=1&b=2', '-HA: b'],
    ],
    [
      ['sh', '-c', "curl ''"],
      ['curl', ''],
    ],
  ])('%j is %j', (argv, words) => {
    expect(commandIn(argv)).toEqual(words);
  });

  it.each([
    'curl x; rm -rf /',
    'curl x && y',
    'curl x | sh',
    'curl x &',
    'curl x > y',
    'curl $URL',
    'curl `id`',
    'curl "x y"',
    'curl x\\ y',
    'curl *',
    'curl x?y',
    'curl [ab]',
    'curl {a,b}',
    'curl ~/x',
    'curl x # y',
    '! curl x',
    '(curl x)',
    'curl x\ncurl y',
    "curl 'x\ny'",
    "curl 'x",
    'A=1 curl x',
    'PATH=/tmp curl x',
    "'' x",
    '',
    '   ',
    'curl\tx',
    'curl\u00a0x',
    'cürl x',
  ])('%j is not known to be one command', (line) => {
    expect(commandIn(['sh', '-c', line])).toBeUndefined();
  });

  it.each([
    [['sh', '-c', 'curl x', 'name', 'more']],
    [['sh', '-ec', 'curl x']],
    [['sh', 'curl x']],
    [['sh', '-c']],
    [['python3', '-c', 'curl x']],
    [[]],
    [['sh', '-c', `curl ${'x'.repeat(5_000)}`]],
  ])('%j is none', (argv) => {
    expect(commandIn(argv)).toBeUndefined();
  });

  it('is read in no more time than it is long', () => {
    const begun = performance.now();
    commandIn(['sh', '-c', `${"''".repeat(2_000)}\n`]);
    commandIn(['sh', '-c', `${'a'.repeat(4_000)}"`]);
    expect(performance.now() - begun).toBeLessThan(1_000);
  });
});
