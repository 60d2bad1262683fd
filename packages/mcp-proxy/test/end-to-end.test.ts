import { createGuard, type Entry, type Json, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Interposer } from '../src/interposer.ts';
import { isObject, type JsonObject, member } from '../src/message.ts';
import { LineReader } from '../src/wire.ts';
import { oneLane } from './one-lane.ts';

const policy = rulePolicy({
  id: 'files',
  rules: [
    { id: 'reads', tools: ['fs/read_*'], effect: 'allow' },
    { id: 'refunds', tools: ['fs/refund'], effect: 'require_approval', reason: 'money' },
  ],
});

let store: ReturnType<typeof memoryStore>;
let guard: ReturnType<typeof createGuard>;
let toServer: string[];
let toClient: string[];
let proxy: Interposer;

beforeEach(() => {
  store = memoryStore();
  guard = createGuard({ agent: 'mcp-client', policy, store, session: 's1' });
  connect();
});

function connect(): void {
  toServer = [];
  toClient = [];
  proxy = oneLane({
    guard: async () => guard,
    server: 'fs',
    toClient: (bytes) => toClient.push(bytes.toString()),
    toServer: (bytes) => toServer.push(bytes.toString()),
    log: () => {},
  });
}

async function send(...lines: string[]): Promise<void> {
  for (const line of new LineReader().push(Buffer.from(lines.join('')))) proxy.fromClient(line);
  await proxy.decided();
}

const call = (id: number, name: string, args = '{"path":"a"}'): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}}}\n`;

async function serverAnswers(id: number): Promise<void> {
  for (const line of new LineReader().push(Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}\n`))) proxy.fromServer(line);
  await proxy.idle();
}

function meta(line: string | undefined): JsonObject {
  const message: unknown = JSON.parse(line ?? 'null');
  const result = isObject(message) ? member(message, 'result') : undefined;
  const found = isObject(result) ? member(result, '_meta') : undefined;
  if (!isObject(found)) throw new Error('no _meta');
  return found;
}

async function ledger(): Promise<readonly string[]> {
  await proxy.serverEnded('over');
  await guard.close();
  return store.entries().flatMap(describeEntry);
}

function describeEntry(entry: Entry): string[] {
  if (entry.kind === 'decision') return [`${entry.effect} ${entry.tool.server ?? ''}/${entry.tool.name} ${entry.reason_code}`];
  if (entry.kind === 'approval') return [`${entry.answer} by ${entry.approver.id}`];
  return entry.kind === 'outcome' ? [entry.status] : [];
}

describe('the proxy with a real guard', () => {
  it('runs what is allowed and leaves decision and outcome', async () => {
    await send(call(1, 'read_file'));
    expect(toServer).toEqual([call(1, 'read_file')]);
    await serverAnswers(1);
    expect(await ledger()).toEqual(['allow fs/read_file POLICY_ALLOW_LOW_RISK', 'success']);
  });

  it('refuses what no rule allows', async () => {
    await send(call(1, 'delete_file'), call(2, 'read_file/../delete'));
    expect(toServer).toEqual([]);
    expect(meta(toClient[0])).toMatchObject({ 'countersign/reasonCode': 'POLICY_DEFAULT_DENY' });
    expect((await ledger())[0]).toBe('deny fs/delete_file POLICY_DEFAULT_DENY');
  });

  it('asks, and after the approval runs the repeated call once', async () => {
    await send(call(1, 'refund', '{"amount":600}'));
    const approvalId = String(meta(toClient[0])['countersign/approvalId']);
    await send(call(2, 'refund', '{"amount":600}'));
    expect(meta(toClient[1])['countersign/approvalId']).toBe(approvalId);
    await guard.approvals.resolve(approvalId, { decision: 'approve' }, { id: 'ann', method: 'host' });
    expect(toServer).toEqual([]);

    await send(call(3, 'refund', '{"amount":601}'), call(4, 'refund', '{"amount":600}'));
    expect(toServer).toEqual([call(4, 'refund', '{"amount":600}')]);
    await serverAnswers(4);
    await send(call(5, 'refund', '{"amount":600}'));
    expect(toServer.length).toBe(1);
    expect(meta(toClient.at(-1))['countersign/approvalId']).not.toBe(approvalId);
  });

  it('lets two repeats of an approved call run once between them', async () => {
    await send(call(1, 'refund'));
    const approvalId = String(meta(toClient[0])['countersign/approvalId']);
    await guard.approvals.resolve(approvalId, { decision: 'approve' }, { id: 'ann', method: 'host' });
    await send(call(2, 'refund'), call(3, 'refund'));
    expect(toServer.length).toBe(1);
  });

  describe('when a person edits the arguments', () => {
    const rules = rulePolicy({
      id: 'files',
      rules: [
        { id: 'small', tools: ['fs/refund'], when: 'args.amount <= 100', effect: 'allow' },
        { id: 'refunds', tools: ['fs/refund'], when: 'args.amount > 100', effect: 'require_approval' },
      ],
    });
    const odd = (id: number): string =>
      `{"x":12345678901234567890, "params":{"_meta":{"progressToken":7},"arguments":{"amount":6e2,"key":"k"} ,"name":"refund"},"method":"tools/call","id":${id},"jsonrpc":"2.0"}\n`;

    async function edited(args: Json): Promise<void> {
      const approvalId = String(meta(toClient.at(-1))['countersign/approvalId']);
      await guard.approvals.resolve(approvalId, { decision: 'edit', args }, { id: 'ann', method: 'host' });
    }

    beforeEach(() => {
      guard = createGuard({ agent: 'mcp-client', policy: rules, store, session: 's1' });
      connect();
    });

    it('forwards the message written anew with them, and never the bytes that came', async () => {
      await send(odd(1));
      await edited({ amount: 60, key: 'k' });
      expect(toServer).toEqual([]);
      await send(odd(2));
      expect(toServer).toEqual([
        '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"_meta":{"progressToken":7},"arguments":{"amount":60,"key":"k"},"name":"refund"}}\n',
      ]);
      await serverAnswers(2);
      // The edit is used up: the same call is asked about like any other.
      await send(odd(3));
      expect(toServer).toHaveLength(1);
      expect(meta(toClient.at(-1))['countersign/approvalId']).toMatch(/^[0-9a-f]{32}$/);
    });

    it('asks about them where a rule says so, under the repeats of the original', async () => {
      await send(odd(1));
      await edited({ amount: 300, key: 'k' });
      await send(odd(2));
      const second = String(meta(toClient.at(-1))['countersign/approvalId']);
      expect(await guard.approvals.get(second)).toMatchObject({ shown: { amount: 300 }, edited: { from: { amount: 600, key: 'k' } } });
      await send(odd(3));
      expect(meta(toClient.at(-1))['countersign/approvalId']).toBe(second);
      expect(toServer).toEqual([]);
      await guard.approvals.resolve(second, { decision: 'approve' }, { id: 'ann', method: 'host' });
      await send(odd(4), odd(5));
      expect(toServer.map((line) => (JSON.parse(line) as { params: { arguments: unknown } }).params.arguments)).toEqual([
        { amount: 300, key: 'k' },
      ]);
    });

    it.each<[string, Json]>([
      ['a list', [60]],
      ['a text', 'amount=60'],
      ['nothing', null],
    ])('runs nothing when they are %s', async (_what, args) => {
      await send(odd(1));
      await edited(args);
      await send(odd(2));
      expect(toServer).toEqual([]);
      expect(meta(toClient.at(-1))['countersign/reasonCode']).toBe('ARGUMENTS_INVALID');
    });
  });

  it('does not run a call again under an id that was used before', async () => {
    await send(call(1, 'read_file'));
    await serverAnswers(1);
    await send(call(1, 'read_file'));
    expect(toServer.length).toBe(1);
    expect(meta(toClient.at(-1))['countersign/reasonCode']).toBe('CALL_ALREADY_RUN');
  });

  it('takes the same id on another connection for another call', async () => {
    await send(call(1, 'read_file'));
    await serverAnswers(1);
    connect();
    await send(call(1, 'read_file'));
    expect(toServer.length).toBe(1);
  });

  it('runs nothing while the ledger cannot be written', async () => {
    store.failWith(new Error('disk full'));
    await send(call(1, 'read_file'));
    expect(toServer).toEqual([]);
    expect(JSON.stringify(meta(toClient[0]))).toMatch(/LEDGER_WRITE_FAILED_DECISION|INTERNAL_ERROR/);
    store.failWith(undefined);
    await send(call(2, 'read_file'));
    expect(toServer).toEqual([call(2, 'read_file')]);
  });

  it('records what was turned away before it could be decided', async () => {
    await send(`[${call(1, 'read_file').trim()}]\n`, call(2, 'read_file', '{"a":1,"a":2}'));
    expect(toServer).toEqual([]);
    expect(await ledger()).toEqual(['deny fs/(unreadable) MESSAGE_INVALID', 'deny fs/read_file MESSAGE_INVALID']);
  });

  it.each(['', 'x'.repeat(200), '\\u0000', '__proto__'])('takes every id it lets through: %j', async (id) => {
    await send(`{"jsonrpc":"2.0","id":"${id}","method":"tools/call","params":{"name":"read_file"}}\n`);
    expect(toServer.length).toBe(1);
  });
});
