import { describe, expect, it } from 'vitest';
import { MAX_ANSWER_BYTES } from '../../src/judge/exchange.ts';
import { MAX_REMEMBERED_ANSWERS, type OllamaJudgeOptions, ollamaJudge } from '../../src/judge/ollama-judge.ts';
import type { JudgeInput } from '../../src/judge/question.ts';
import type { Verdict } from '../../src/verdict.ts';
import { activity, read } from '../intent/activities.ts';
import { type Behaviour, chat, json, modelServer, says } from './model-server.ts';

const FLAG: Verdict = {
  level: 'FLAG',
  rule: 'outside-scope',
  reason: 'a path outside of the scope',
  evaluator: 'rules',
  confidence: 1,
  evidence: [1],
  ambiguous: true,
};

function input(path = '/srv/data/a', more: Partial<JudgeInput> = {}): JudgeInput {
  return { activity: activity(read(path)), verdict: FLAG, scope: 'paths: /home/ana/work', recent: [], ...more };
}

async function judged(behave: Behaviour, options: OllamaJudgeOptions = {}): Promise<Verdict> {
  const { url } = await modelServer(behave);
  return ollamaJudge({ url, ...options }).judge(input());
}

const SAFE = { reason: 'part of the build', level: 'SAFE', confidence: 0.9 };

describe('asking', () => {
  it('speaks the chat API: no stream, no thoughts, a schema, room for the whole question', async () => {
    const server = await modelServer(says(SAFE));
    await ollamaJudge({ url: server.url, model: 'llama3.2' }).judge(input());
    expect(server.asked).toHaveLength(1);
    const { method, url, body } = server.asked[0] ?? { method: '', url: '', body: {} };
    expect([method, url]).toEqual(['POST', '/api/chat']);
    expect(body).toMatchObject({ model: 'llama3.2', stream: false, think: false, options: { temperature: 0, num_ctx: 8192 } });
    expect(body['format']).toEqual({
      type: 'object',
      properties: {
        reason: { type: 'string', maxLength: 300 },
        level: { type: 'string', enum: ['SAFE', 'FLAG', 'HALT'] },
        confidence: { type: 'number', minimum: 0, maximum: 1 },
      },
      required: ['reason', 'level', 'confidence'],
      additionalProperties: false,
    });
  });

  it('keeps the path of its base, leaves `think` out where it is told to, and offers KILL only where that is configured', async () => {
    const server = await modelServer(says(SAFE));
    await ollamaJudge({ url: `${server.url}/models/`, think: 'omit', maxLevel: 'KILL' }).judge(input());
    expect(server.asked[0]?.url).toBe('/models/api/chat');
    expect(server.asked[0]?.body).not.toHaveProperty('think');
    expect(JSON.stringify(server.asked[0]?.body['format'])).toContain('["SAFE","FLAG","HALT","KILL"]');
  });

  it.each([
    ['SAFE', 0.9, {}, 'SAFE'],
    ['SAFE', 0.69, {}, 'FLAG'],
    ['FLAG', 0.9, {}, 'FLAG'],
    ['HALT', 0.1, {}, 'HALT'],
    ['KILL', 1, {}, 'HALT'],
    ['KILL', 1, { maxLevel: 'KILL' }, 'KILL'],
    ['KILL', 1, { maxLevel: 'FLAG' }, 'FLAG'],
    ['HALT', 1, { maxLevel: 'FLAG' }, 'FLAG'],
  ] as readonly (readonly [string, number, OllamaJudgeOptions, string])[])(
    'takes %s with confidence %d under %o as %s',
    async (level, confidence, options, expected) => {
      const verdict = await judged(says({ reason: 'x', level, confidence }), options);
      expect(verdict).toMatchObject({ level: expected, evaluator: 'judge', confidence, rule: 'outside-scope', evidence: [1] });
      expect(verdict.ambiguous).toBeUndefined();
    },
  );

  it('asks only about ambiguous FLAGs', async () => {
    const server = await modelServer(says(SAFE));
    const judge = ollamaJudge({ url: server.url });
    const { ambiguous: _, ...clear } = FLAG;
    for (const verdict of [clear, { ...FLAG, level: 'SAFE' }, { ...FLAG, level: 'HALT' }, { ...FLAG, level: 'KILL' }] as Verdict[]) {
      expect(await judge.judge(input('/a', { verdict }))).toBe(verdict);
    }
    expect(server.asked).toHaveLength(0);
  });

  it('treats its words as anybody could have put them there', async () => {
    const reason = `\u001b[2J\u202eok\nsk-ant-api03-${'A1b2'.repeat(24)} ${'x'.repeat(1_500)}`;
    const verdict = await judged(says({ reason, level: 'HALT', confidence: 1 }));
    expect(verdict.level).toBe('HALT');
    expect(verdict.reason).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(verdict.reason).not.toContain('A1b2A1b2');
    expect(verdict.reason.length).toBeLessThan(400);
  });
});

describe('whatever goes wrong, the FLAG stands', () => {
  const huge = 'x'.repeat(MAX_ANSWER_BYTES + 1);
  it.each([
    ['broken JSON in the body', (_, response) => json(response, '{"done":tru')],
    ['no JSON in the message', says('SAFE')],
    ['JSON after thoughts', says(`<think>hm</think>${JSON.stringify(SAFE)}`)],
    ['an empty message', says('')],
    ['another shape', says({ verdict: 'SAFE' })],
    ['a member more', says({ ...SAFE, note: 'x' })],
    ['an unknown level', says({ ...SAFE, level: 'OK' })],
    ['a level of a prototype', says({ ...SAFE, level: 'constructor' })],
    ['a level that is no text', says({ ...SAFE, level: ['SAFE'] })],
    ['a reason that is no text', says({ ...SAFE, reason: 1 })],
    ['a confidence out of range', says({ ...SAFE, confidence: 2 })],
    ['a confidence that is no number', says({ ...SAFE, confidence: '0.9' })],
    ['a level given twice', says('{"reason":"x","level":"HALT","level":"SAFE","confidence":1}')],
    ['a list', says([SAFE])],
    ['an over-long message', says(`${JSON.stringify(SAFE)}${' '.repeat(9_000)}`)],
    ['an unfinished answer', says(SAFE, { done: false })],
    ['an answer that was cut', says(SAFE, { done_reason: 'length' })],
    ['no message', (_, response) => json(response, { done: true })],
    ['a message of the user', (_, response) => json(response, chat(SAFE, { message: { role: 'user', content: JSON.stringify(SAFE) } }))],
    ['a list as body', (_, response) => json(response, [chat(SAFE)])],
    ['lines of a stream', (_, response) => json(response, `${JSON.stringify(chat(SAFE))}\n${JSON.stringify(chat(SAFE))}`)],
    ['another content type', (_, response) => json(response, chat(SAFE), 200, { 'content-type': 'text/html' })],
    ['a redirect', (_, response) => json(response, '{}', 307, { location: 'http://127.0.0.1:1/api/chat' })],
    ['not found', (_, response) => json(response, { error: 'model not found' }, 404)],
    ['a server error, again and again', (_, response) => json(response, { error: 'boom' }, 500)],
    ['a body over the limit', (_, response) => json(response, `"${huge}"`)],
    [
      'a body over the limit in pieces',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        for (let i = 0; i < 10; i++) response.write(' '.repeat(MAX_ANSWER_BYTES / 4));
        response.end(JSON.stringify(chat(SAFE)));
      },
    ],
    [
      'a connection that breaks off',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write('{"done"');
        response.destroy();
      },
    ],
    ['a connection that is closed at once', (_, __, request) => void request.socket.destroy()],
  ] as readonly (readonly [string, Behaviour])[])('%s', async (_, behave) => {
    const verdict = await judged(behave);
    expect(verdict).toMatchObject({ level: 'FLAG', ambiguous: true, evaluator: 'rules', rule: 'outside-scope' });
    expect(verdict.reason).toMatch(/^a path outside of the scope; the judge [a-z0-9 ,/-]+$/i);
  });

  it('nobody listens', async () => {
    const verdict = await ollamaJudge({ url: 'http://127.0.0.1:1', retries: 0 }).judge(input());
    expect(verdict).toMatchObject({ level: 'FLAG', ambiguous: true });
  });

  it('an answer that never comes, and one that never ends', async () => {
    for (const behave of [
      () => {},
      (_: unknown, response: Parameters<Behaviour>[1]) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    ] as Behaviour[]) {
      const verdict = await judged(behave, { timeoutMs: 100, retries: 5 });
      expect(verdict).toMatchObject({ level: 'FLAG', reason: 'a path outside of the scope; the judge did not answer in time' });
    }
  });

  it('does not follow a redirect', async () => {
    const other = await modelServer(says(SAFE));
    const verdict = await judged((_, response) => json(response, '{}', 307, { location: `${other.url}/api/chat` }));
    expect(verdict.level).toBe('FLAG');
    expect(other.asked).toHaveLength(0);
  });

  it('closed while it waits, and asked afterwards', async () => {
    let arrived = (): void => {};
    const there = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const { url } = await modelServer(() => arrived());
    const judge = ollamaJudge({ url });
    const waiting = judge.judge(input());
    await there;
    judge.close();
    expect((await waiting).level).toBe('FLAG');
    expect((await judge.judge(input('/other'))).level).toBe('FLAG');
  });
});

describe('tries', () => {
  it('asks again where that may help, and no more often than it was told to', async () => {
    let tries = 0;
    const server = await modelServer((_, response) => (++tries < 3 ? json(response, {}, 503) : json(response, chat(SAFE))));
    expect((await ollamaJudge({ url: server.url, retries: 1 }).judge(input())).level).toBe('FLAG');
    expect(tries).toBe(2);
    expect((await ollamaJudge({ url: server.url, retries: 1 }).judge(input())).level).toBe('SAFE');
    expect(tries).toBe(3);
  });

  it('does not ask again where it cannot help', async () => {
    const server = await modelServer(says('nonsense'));
    await ollamaJudge({ url: server.url, retries: 5 }).judge(input());
    expect(server.asked).toHaveLength(1);
  });
});

describe('remembering', () => {
  it('answers the same question once, whenever it is asked, and another one anew', async () => {
    const server = await modelServer(says(SAFE));
    const judge = ollamaJudge({ url: server.url });
    const later: JudgeInput = { ...input(), activity: activity(read('/srv/data/a'), 77, { actor: { pid: 9, start: 4 } }) };
    const both = await Promise.all([judge.judge(input()), judge.judge(later)]);
    expect(both.map(({ level }) => level)).toEqual(['SAFE', 'SAFE']);
    await judge.judge(input());
    expect(server.asked).toHaveLength(1);
    for (const more of [{ task: 'x' }, { scope: 'other' }, { recent: [activity(read('/b'))] }, { verdict: { ...FLAG, rule: 'other' } }]) {
      await judge.judge(input('/srv/data/a', more));
    }
    await judge.judge(input('/srv/data/b'));
    expect(server.asked).toHaveLength(6);
    expect(judge.stats()).toEqual({ asked: 6, remembered: 2, failed: 0 });
  });

  it('does not remember a failure', async () => {
    let tries = 0;
    const server = await modelServer((_, response) => json(response, chat(++tries === 1 ? 'nonsense' : SAFE)));
    const judge = ollamaJudge({ url: server.url });
    expect((await judge.judge(input())).level).toBe('FLAG');
    expect((await judge.judge(input())).level).toBe('SAFE');
    expect(judge.stats()).toEqual({ asked: 2, remembered: 0, failed: 1 });
  });

  it('forgets the oldest when it has many', async () => {
    const server = await modelServer(says(SAFE));
    const judge = ollamaJudge({ url: server.url, atOnce: 16 });
    for (let i = 0; i <= MAX_REMEMBERED_ANSWERS; i++) await judge.judge(input(`/${i}`));
    await judge.judge(input(`/${MAX_REMEMBERED_ANSWERS}`));
    expect(judge.stats().asked).toBe(MAX_REMEMBERED_ANSWERS + 1);
    await judge.judge(input('/0'));
    expect(judge.stats().asked).toBe(MAX_REMEMBERED_ANSWERS + 2);
  });
});

it('asks so many at once, lets so many wait, and leaves the rest a FLAG', async () => {
  let open = 0;
  let most = 0;
  const release: (() => void)[] = [];
  const server = await modelServer(async (_, response) => {
    most = Math.max(most, ++open);
    await new Promise<void>((resolve) => release.push(resolve));
    open--;
    json(response, chat(SAFE));
  });
  const judge = ollamaJudge({ url: server.url, atOnce: 2, mayWait: 3 });
  const verdicts = Array.from({ length: 8 }, (_, i) => judge.judge(input(`/${i}`)));
  const refused = await Promise.all(verdicts.slice(5));
  for (const verdict of refused) expect(verdict).toMatchObject({ level: 'FLAG', reason: expect.stringContaining('too many questions') });
  const rest = Promise.all(verdicts.slice(0, 5));
  const pump = setInterval(() => release.shift()?.(), 1);
  expect((await rest).map(({ level }) => level)).toEqual(Array(5).fill('SAFE'));
  clearInterval(pump);
  expect(most).toBe(2);
  expect(judge.stats()).toEqual({ asked: 5, remembered: 0, failed: 3 });
});

describe('available', () => {
  it.each([
    ['qwen3:4b', { models: [{ name: 'llama3.2:latest' }, { name: 'qwen3:4b' }] }, true],
    ['llama3.2', { models: [{ name: 'llama3.2:latest' }] }, true],
    ['qwen3:4b', { models: [{ name: 'qwen3:8b' }] }, false],
    ['qwen3', { models: [{ name: 'qwen3:4b' }] }, false],
    ['qwen3:4b', { models: [null, 1, { name: 1 }, 'qwen3:4b'] }, false],
    ['qwen3:4b', { models: 'qwen3:4b' }, false],
    ['qwen3:4b', [], false],
    ['qwen3:4b', null, false],
  ])('%s in %o: %s', async (model, tags, expected) => {
    const { url } = await modelServer(says(SAFE), tags);
    expect(await ollamaJudge({ url, model }).available()).toBe(expected);
  });

  it('says why not, in words of ours', async () => {
    expect(await ollamaJudge({ url: 'http://127.0.0.1:1' }).check()).toEqual({
      ok: false,
      why: 'the judge cannot be reached, or broke off its answer',
    });
    const { url } = await modelServer(says(SAFE), { models: [] });
    expect(await ollamaJudge({ url }).check()).toEqual({ ok: false, why: 'the judge has no model qwen3:4b: run `ollama pull qwen3:4b`' });
  });
});

describe('options', () => {
  it.each([
    { url: 'ftp://127.0.0.1' },
    { url: '127.0.0.1:11434' },
    { url: '' },
    { url: 'http://me:secret@127.0.0.1' },
    { url: 'http://127.0.0.1?x' },
    { url: 'http://127.0.0.1#x' },
    { url: `http://127.0.0.1/${'x'.repeat(3_000)}` },
    { model: '' },
    { model: 'a b' },
    { model: '-x' },
    { model: '\u001b[31m' },
    { timeoutMs: 99 },
    { timeoutMs: Number.NaN },
    { retries: 6 },
    { retries: -1 },
    { atOnce: 0 },
    { mayWait: 1_001 },
    { maxLevel: 'SAFE' as 'HALT' },
    { think: 'low' as 'omit' },
  ] as readonly OllamaJudgeOptions[])('refuses %o', (options) => {
    expect(() => ollamaJudge(options)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('repeats nothing of a URL, which may hold a secret', () => {
    expect(() => ollamaJudge({ url: 'http://me:hunter2@127.0.0.1' })).toThrow(/^(?!.*hunter2)/);
  });

  it('warns of plain http to another host, and of nothing else', () => {
    expect(ollamaJudge({ url: 'http://models.example' }).warnings).toHaveLength(1);
    for (const url of ['https://models.example', 'http://localhost:11434', 'http://[::1]', 'http://2130706433']) {
      expect(ollamaJudge({ url }).warnings, url).toEqual([]);
    }
  });
});
