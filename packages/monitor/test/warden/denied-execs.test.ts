/** A no to a command is one to the same command a moment later, from whatever folder of PATH, and to nothing else: each test tries for more. */
import { describe, expect, it } from 'vitest';
import type { Action, Actor } from '../../src/activity.ts';
import { MAX_DENIED_MS } from '../../src/warden/denied-execs.ts';
import type { HaltAnswer } from '../../src/warden/ports.ts';
import { answeredExec, CURL, run } from './answered-exec.ts';
import { AGENT, CHILD } from './fakes.ts';

const answered = (action: Action = run(CURL, '/usr/local/bin/curl'), answer: HaltAnswer = { do: 'deny', by: 'jane' }) =>
  answeredExec(action, answer);

it('every further folder is refused unasked, on record as a flag that says why, and told as refused', async () => {
  const { held, first, ledger, questions, events, warden } = await answered();
  expect(first).toEqual(['refuse']);
  for (const folder of ['/usr/bin', '/bin', '/snap/bin']) expect(held(run(CURL, `${folder}/curl`))).toEqual(['refuse']);
  await warden.settled();
  await new Promise((resolve) => setImmediate(resolve));
  expect(questions.asked).toHaveLength(1);
  expect(ledger.records.at(-1)).toMatchObject({
    kind: 'verdict',
    level: 'FLAG',
    rule: 'forbidden-command',
    activity: { reason: expect.stringContaining('a person said no to this very command a moment ago') },
  });
  expect(events.at(-1)).toMatchObject({ kind: 'judged', enforced: 'FLAG', call: 'refused' });
});

it('so is the same file by its name in another folder that leads there', async () => {
  const { held, questions, warden } = await answered(run(['vi', 'curl'], '/usr/bin/vim.basic'));
  expect(held(run(['vi', 'curl'], '/usr/bin/vim.basic'))).toEqual(['refuse']);
  await warden.settled();
  expect(questions.asked).toHaveLength(1);
});

describe('it is asked about', () => {
  it.each<[string, Action]>([
    ['another argument', run(['curl', 'https://b.example/x'])],
    ['one argument more', run([...CURL, '-v'])],
    ['one argument less', run(['curl'])],
    ['the words in another split', run(['curl', 'https://a.example/', 'x'])],
    ['another program under that name', run(CURL, '/usr/bin/python3')],
    ['the same by a path', run(['/usr/bin/curl', ...CURL.slice(1)], '/usr/bin/curl')],
    ['what another rule holds', run(CURL, '/other/curl')],
  ])('%s', async (_name, action) => {
    const { held, questions } = await answered();
    const answers = held(action);
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it.each<[string, Actor]>([
    ['another process', { pid: 777, start: 2 }],
    ['a child of it', { pid: 102, start: 9, parent: CHILD.pid }],
    ['its parent', AGENT],
    ['a later process with its number', { ...CHILD, start: CHILD.start + 1 }],
  ])('%s', async (_name, actor) => {
    const { held, questions } = await answered();
    const answers = held(run(CURL), actor);
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same later', async () => {
    const { held, questions, pass } = await answered();
    pass(MAX_DENIED_MS + 1);
    const answers = held(run(CURL));
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same after something else that went on unasked', async () => {
    const { held, questions, sensor } = await answered();
    sensor.see('SAFE', { phase: 'before', actor: CHILD, action: run(['true']) });
    const answers = held(run(CURL));
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same after a yes', async () => {
    const { held, first, questions } = await answered(undefined, { do: 'resume', by: 'jane' });
    expect(first).toEqual(['continue']);
    const answers = held(run(CURL));
    await questions.until(2);
    expect(answers).toEqual([]);
  });

  it('the same when it was named by a path: nobody looks for that', async () => {
    const action = run(['/bin/curl'], '/bin/curl');
    const { held, questions } = await answered(action);
    const answers = held(action);
    await questions.until(2);
    expect(answers).toEqual([]);
  });
});
