/** Two clients before one server: what one was approved, is answered and started is nothing to the other. */
import { createGuard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { call, Harness } from '../http/harness.ts';
import { json } from '../http/recording-upstream.ts';

const ALICE = { id: 'alice', method: 'host' } as const;
const policy = rulePolicy({
  id: 'p',
  default: 'allow',
  rules: [
    { id: 'ask', tools: ['web/refund'], effect: 'require_approval' },
    { id: 'no-secrets', on: 'result', tools: ['*'], effect: 'mask' },
  ],
});

let http: Harness;
afterEach(() => http.stop());

async function start() {
  const store = memoryStore();
  const guard = createGuard({ agent: 'clients', policy, store, session: 's' });
  http = new Harness();
  http.later(() => guard.close());
  await http.start({ guard: async () => guard, mcp: { holdMs: 0, pins: 'off' } });
  let sessions = 0;
  /** What the server says to a request about a task. */
  const server = { task: (_session: unknown): object => ({ result: { content: [{ type: 'text', text: 'of the task' }] } }) };
  http.upstream.answer = ({ body, headers }, response) => {
    const { id, method, params } = JSON.parse(body.toString()) as { id: unknown; method: string; params: Record<string, unknown> };
    if (method === 'initialize') json(response, { jsonrpc: '2.0', id, result: {} }, 200, { 'mcp-session-id': `s${++sessions}` });
    else if (method.startsWith('tasks/')) json(response, { jsonrpc: '2.0', id, ...server.task(headers['mcp-session-id']) });
    else json(response, { jsonrpc: '2.0', id, result: Object.hasOwn(params, 'task') ? { task: { taskId: 't1', status: 'working' } } : {} });
  };
  return { store, guard, server };
}

/** A client with a session of its own, begun through the proxy. @returns its header. */
async function session(): Promise<string> {
  const { head } = await http.post('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}');
  return /mcp-session-id: \S+/i.exec(head)?.[0] ?? '';
}

const about = (id: number, method: string): string => `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{"taskId":"t1"}}`;
const clients = [
  ['sessions', async () => [await session(), await session()]],
  ['credentials', async () => ['authorization: Bearer a', 'authorization: Bearer b']],
] as const;

describe.each(clients)('clients with %s of their own', (_name, two) => {
  it('run no call that was approved for the other', async () => {
    const { guard } = await start();
    const [a = '', b = ''] = await two();
    const before = http.upstream.received.length;
    expect((await http.post(call(1, 'refund'), [a])).body).toContain('approval');
    const [asked] = await guard.approvals.list({ state: 'pending' });
    await guard.approvals.resolve(asked?.id ?? '', { decision: 'approve' }, ALICE);
    await http.post(call(2, 'refund'), [b]);
    expect(http.upstream.received.length).toBe(before);
    await http.post(call(2, 'refund'), [a]);
    expect(http.upstream.received.length).toBe(before + 1);
    await http.post(call(3, 'refund'), [a]);
    expect(http.upstream.received.length).toBe(before + 1);
  });

  it.each(['tasks/result', 'tasks/get', 'tasks/cancel', 'tasks/update'])('reach no task of the other by %s', async (method) => {
    const { server, store, guard } = await start();
    const [a = '', b = ''] = await two();
    await http.post(call(1, 'work', '"arguments":{},"task":{}'), [a]);
    const before = http.upstream.received.length;
    server.task = () => ({ error: { code: -32602, message: 'not yours' } });
    expect(JSON.parse((await http.post(about(2, method), [b])).body)).toMatchObject({ error: { code: expect.any(Number) as number } });
    expect(http.upstream.received.length).toBe(before);
    server.task = () => ({ result: { content: [{ type: 'text', text: 'of the task' }] } });
    expect((await http.post(about(2, 'tasks/result'), [a])).body).toContain('of the task');
    await guard.close();
    expect(store.entries().filter(({ kind }) => kind === 'outcome')).toMatchObject([{ status: 'success' }]);
  });
});
