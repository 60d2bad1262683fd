/** The stateless protocol (2026-07-28): the call is answered with the question, and the retry brings the answer. */
import { rulePolicy } from '@countersign/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { isObject, type JsonObject } from '../../src/message.ts';
import { Bench, type BenchClient, call, codeOf, PAGE, textOf } from './bench.ts';

const meta = (elicitation?: unknown, more: object = {}): string =>
  JSON.stringify({
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': elicitation === undefined ? {} : { elicitation },
    ...more,
  });
const FORM = meta({ form: {} });

let bench: Bench;
let client: BenchClient;
beforeEach(() => {
  bench = new Bench();
  client = bench.client();
});

interface Asked {
  readonly state: string;
  readonly key: string;
  readonly request: JsonObject;
}

function askedIn(answer: JsonObject): Asked {
  const { result } = answer;
  const requests = isObject(result) ? result['inputRequests'] : undefined;
  const state = isObject(result) ? result['requestState'] : undefined;
  if (!isObject(result) || !isObject(requests) || typeof state !== 'string') throw new Error(`no question: ${JSON.stringify(answer)}`);
  const [key = ''] = Object.keys(requests);
  const request = requests[key];
  if (!isObject(request)) throw new Error('no request');
  return { state, key, request };
}

const ARGS = '{"amount":600}';
const statelessCall = (id: number, { tool = 'refund', args = ARGS, as = FORM, more = '' } = {}): string =>
  call(id, tool, args, `,"_meta":${as}${more}`);
const retryWith = (asked: Asked, result: unknown, more: object = {}): string =>
  `,"inputResponses":${JSON.stringify({ ...more, [asked.key]: result })},"requestState":${JSON.stringify(asked.state)}`;
const YES = { action: 'accept', content: { decision: 'approve' } };

async function ask(id = 1, of: Parameters<typeof statelessCall>[1] = {}): Promise<Asked> {
  client.send(statelessCall(id, of));
  return askedIn(await client.answer(id));
}

describe('a question', () => {
  it('is the answer to the call, at once, and the yes that comes with the retry runs it once', async () => {
    const asked = await ask();
    expect(asked.request).toMatchObject({
      method: 'elicitation/create',
      params: { mode: 'form', requestedSchema: { required: ['decision'] } },
    });
    client.send(statelessCall(2, { more: retryWith(asked, YES, { other: { action: 'cancel' } }) }));
    await client.until(() => bench.received.length > 0);
    // Nothing of ours goes on, nor what stood beside it: one serialisation of the call that was decided.
    expect(bench.received.map((text): unknown => JSON.parse(text))).toEqual([JSON.parse(statelessCall(2))]);
    client.server('{"jsonrpc":"2.0","id":2,"result":{"resultType":"complete","content":[]}}');
    await client.interposer.idle();
    expect(bench.entries().slice(-3)).toEqual(['approve by elicitation (low)', 'allow refund APPROVAL_GRANTED', 'success']);
  });

  it('with a no denies', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, { action: 'decline' }) }));
    expect(codeOf(await client.answer(2))).toBe('APPROVAL_DENIED');
    expect(bench.received).toEqual([]);
  });

  it('that is closed is not put again; the call is held for others', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, { action: 'cancel' }) }));
    await client.until(() => bench.log.length > 0);
    await bench.approve();
    await client.until(() => bench.received.length > 0);
    expect(bench.received).toHaveLength(1);
    expect(client.got).toHaveLength(1);
  });

  it('that was not answered is put again', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: `,"requestState":${JSON.stringify(asked.state)}` }));
    expect(askedIn(await client.answer(2)).state).not.toBe(asked.state);
    expect(bench.received).toEqual([]);
  });
});

describe('a state that counts for nothing: the call is new, and is asked about', () => {
  const answered = async (more: string, of: Parameters<typeof statelessCall>[1] = {}, from: BenchClient = client): Promise<Asked> => {
    from.send(statelessCall(9, { ...of, more }));
    const again = askedIn(await from.answer(9));
    expect(bench.received).toEqual([]);
    expect(bench.entries().some((entry) => entry.startsWith('approve'))).toBe(false);
    return again;
  };

  const answeredAgain = async (id: number, more: string): Promise<Asked> => {
    client.send(statelessCall(id, { more }));
    return askedIn(await client.answer(id));
  };

  it('every character changed', async () => {
    const asked = await ask();
    const last = asked.state.length - 1;
    for (const i of [30, 40, 100, last - 44, last - 20, last]) {
      const state = `${asked.state.slice(0, i)}${asked.state[i] === 'A' ? 'B' : 'A'}${asked.state.slice(i + 1)}`;
      client.got.length = 0;
      await answered(retryWith({ ...asked, state }, YES));
    }
  });

  it.each([12, 40, 100, -1, -43])('cut at %i', async (length) => {
    const asked = await ask();
    const again = await answered(retryWith({ ...asked, state: asked.state.slice(0, length) }, YES));
    expect(again.key).not.toBe(asked.key);
  });

  it('used before', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, { action: 'cancel' }) }));
    await client.until(() => bench.log.length > 0);
    client.send(statelessCall(3, { more: retryWith(asked, YES) }));
    client.interposer.clientSilent();
    await client.interposer.decided();
    expect(bench.log.join()).toContain('(used)');
    expect(bench.received).toEqual([]);
    expect((await bench.pending()).answers).toEqual([]);
  });

  it('for another call: of the arguments of one nothing follows for the other', async () => {
    const asked = await ask();
    const other = await answered(retryWith(asked, YES), { args: '{"amount":601}' });
    expect(other.request['params']).toMatchObject({ message: expect.stringContaining('601') as unknown });
  });

  it('for another tool', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { tool: 'never', more: retryWith(asked, YES) }));
    expect(codeOf(await client.answer(2))).toBe('POLICY_DENY_HIGH_RISK');
    expect(bench.received).toEqual([]);
  });

  it('of another client', async () => {
    const [one, two] = [bench.client({ owner: 'a' }), bench.client({ owner: 'b' })];
    one.send(statelessCall(1));
    const asked = askedIn(await one.answer(1));
    await answered(retryWith(asked, YES), {}, two);
  });

  it('after the expiry', async () => {
    const asked = await ask();
    bench.clock.advance(6 * 60_000);
    client.send(statelessCall(2, { more: retryWith(asked, YES) }));
    expect(codeOf(await client.answer(2))).toBe('APPROVAL_EXPIRED');
    expect(bench.received).toEqual([]);
  });

  it('a yes under another key than the one that was given', async () => {
    const asked = await ask();
    await answered(retryWith({ ...asked, key: 'decision' }, YES));
  });

  it('two questions and one answer: the other call is still asked about', async () => {
    const [one, two] = [await ask(1), await ask(2, { args: '{"amount":700}' })];
    client.send(statelessCall(3, { more: retryWith(one, YES) }));
    await client.until(() => bench.received.length > 0);
    client.send(statelessCall(4, { args: '{"amount":700}', more: retryWith({ ...two, key: one.key }, YES) }));
    askedIn(await client.answer(4));
    expect(bench.received).toHaveLength(1);
  });

  it('that was approved and used runs nothing again', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, YES) }));
    await client.until(() => bench.received.length > 0);
    await answeredAgain(3, retryWith(asked, YES));
    expect(bench.received).toHaveLength(1);
  });

  it('that is used by two at once runs one of them', async () => {
    const asked = await ask();
    for (const id of [2, 3, 4]) client.send(statelessCall(id, { more: retryWith(asked, YES) }));
    await client.until(() => bench.received.length > 0 && client.got.length === 3);
    expect(bench.received).toHaveLength(1);
    expect(bench.entries().filter((entry) => entry.startsWith('allow'))).toHaveLength(1);
  });
});

describe('clients that cannot be asked', () => {
  it.each([
    ['no elicitation', meta()],
    ['only pages, and there is none', meta({ url: {} })],
    ['what an earlier session said counts for nothing', meta()],
  ])('%s: told what waits, and the same call runs after the approval', async (_what, as) => {
    client.initialize({ form: {} });
    const brief = client;
    brief.interposer.clientSilent();
    brief.send(statelessCall(1, { as }));
    const told = await brief.answer(1);
    expect(told['result']).toMatchObject({ resultType: 'complete', isError: true });
    expect(textOf(told)).toContain('countersign approvals approve');
    await bench.approve();
    brief.send(statelessCall(2, { as }), statelessCall(3, { as }));
    await brief.until(() => bench.received.length > 0);
    await brief.answer(3);
    expect(bench.received).toEqual([`${statelessCall(2, { as })}\n`]);
  });

  it('a page is opened, and the answer given there releases the retry', async () => {
    const one = bench.client({ answerAt: (id) => `${PAGE}${id}` });
    const as = meta({ url: {} });
    one.send(statelessCall(1, { tool: 'sure', as }));
    const asked = askedIn(await one.answer(1));
    const { id } = await bench.pending();
    expect(asked.request).toEqual({
      method: 'elicitation/create',
      params: { mode: 'url', message: expect.stringContaining('fs/sure') as unknown, url: `${PAGE}${id}` },
    });
    one.send(statelessCall(2, { tool: 'sure', as, more: retryWith(asked, { action: 'accept', content: { decision: 'approve' } }) }));
    expect((await bench.pending()).answers).toEqual([]);
    expect(bench.received).toEqual([]);
    await bench.guard.approvals.resolve(id, { decision: 'approve' }, { id: 'ann', method: 'page' });
    await one.until(() => bench.received.length > 0);
    expect(bench.received.map((text): unknown => JSON.parse(text))).toEqual([JSON.parse(statelessCall(2, { tool: 'sure', as }))]);
  });
});

describe('a server that asks something itself', () => {
  const theirs = (id: number, state?: string): string =>
    JSON.stringify({
      jsonrpc: '2.0',
      id,
      result: {
        resultType: 'input_required',
        inputRequests: {
          who: { method: 'elicitation/create', params: { message: 'who?', requestedSchema: { type: 'object', properties: {} } } },
        },
        ...(state !== undefined && { requestState: state }),
      },
    });

  it('of an allowed call passes byte for byte, both ways', async () => {
    const one = statelessCall(1, { tool: 'read' });
    client.send(one);
    await client.until(() => bench.received.length > 0);
    client.server(theirs(1, 'S'));
    const two = statelessCall(2, { tool: 'read', more: ',"inputResponses":{"who":{"action":"accept"}},"requestState":"S"' });
    client.send(two);
    await client.until(() => bench.received.length > 1);
    expect(bench.received).toEqual([`${one}\n`, `${two}\n`]);
    expect(client.got).toEqual([JSON.parse(theirs(1, 'S'))]);
  });

  it.each([
    ['with a state', 'S'],
    ['without one', undefined],
  ] as const)('%s, of an approved call: the retry is the same call, and nobody is asked twice', async (_what, state) => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, YES) }));
    await client.until(() => bench.received.length > 0);
    client.server(theirs(2, state));
    const wrapped = askedIn(await client.answer(2));
    expect(wrapped.key).toBe('who');
    expect(wrapped.state).not.toBe(state);
    expect(bench.entries()).not.toContain('success');
    client.send(statelessCall(3, { more: retryWith(wrapped, { action: 'accept', content: { name: 'ann' } }) }));
    await client.until(() => bench.received.length > 1);
    expect(JSON.parse(bench.received[1] ?? '')).toEqual(
      JSON.parse(
        statelessCall(3, {
          more: `,"inputResponses":{"who":{"action":"accept","content":{"name":"ann"}}}${state === undefined ? '' : ',"requestState":"S"'}`,
        }),
      ),
    );
    client.server('{"jsonrpc":"2.0","id":3,"result":{"resultType":"complete","content":[]}}');
    await client.interposer.idle();
    expect(bench.entries().filter((entry) => entry.startsWith('allow') || entry === 'success')).toEqual([
      'allow refund APPROVAL_GRANTED',
      'success',
    ]);
    // Used up: the same retry is another call, and is asked about.
    client.send(statelessCall(4, { more: retryWith(wrapped, YES) }));
    askedIn(await client.answer(4));
    expect(bench.received).toHaveLength(2);
  });

  it('of an approved call: the retry runs nothing once no call of the tool would be let through', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, YES) }));
    await client.until(() => bench.received.length > 0);
    client.server(theirs(2, 'S'));
    const wrapped = askedIn(await client.answer(2));
    await bench.guard.setPolicy(rulePolicy({ id: 'later', rules: [{ id: 'no', tools: ['fs/refund'], effect: 'deny' }] }));
    client.send(statelessCall(3, { more: retryWith(wrapped, { action: 'accept' }) }));
    expect(codeOf(await client.answer(3))).toBe('POLICY_DENY_HIGH_RISK');
    expect(bench.received).toHaveLength(1);
    expect(bench.entries().at(-1)).toBe('cancelled');
  });

  it('a retry with other arguments is no part of the call that was approved', async () => {
    const asked = await ask();
    client.send(statelessCall(2, { more: retryWith(asked, YES) }));
    await client.until(() => bench.received.length > 0);
    client.server(theirs(2, 'S'));
    const wrapped = askedIn(await client.answer(2));
    client.send(statelessCall(3, { args: '{"amount":999999}', more: retryWith(wrapped, YES) }));
    const again = askedIn(await client.answer(3));
    expect(again.key).toMatch(/^countersign\./);
    expect(bench.received).toHaveLength(1);
    await client.interposer.serverEnded('over');
    expect(bench.entries().at(-1)).toBe('error');
  });

  it('what the retry brought for it survives a question of ours in between', async () => {
    const of = { tool: 'gated', args: '{"gate":"up"}' };
    client.send(statelessCall(1, { ...of, more: ',"inputResponses":{"who":{"action":"accept"}},"requestState":"S"' }));
    const asked = askedIn(await client.answer(1));
    client.send(statelessCall(2, { ...of, more: retryWith(asked, YES) }));
    await client.until(() => bench.received.length > 0);
    expect(bench.received.map((text): unknown => JSON.parse(text))).toEqual([
      JSON.parse(statelessCall(2, { ...of, more: ',"inputResponses":{"who":{"action":"accept"}},"requestState":"S"' })),
    ]);
  });
});
