/** A client's hands on an interposer before a real guard, and a server that records what reaches it. */
import { EventEmitter } from 'node:events';
import { type ApprovalRow, createGuard, type Guard, rulePolicy } from '@countersign/core';
import { fixedClock, memoryStore } from '@countersign/core/testing';
import type { ApprovalOptions } from '../../src/approval/shared.ts';
import { Interposer, type InterposerOptions } from '../../src/interposer.ts';
import type { Lane } from '../../src/lane.ts';
import { isObject, type JsonObject } from '../../src/message.ts';
import { Target } from '../../src/target.ts';
import { LineReader } from '../../src/wire.ts';

export const PAGE = 'http://127.0.0.1:4680/approvals/';
/** Long enough never to be over in a test that does not wait for it. */
export const LONG_MS = 600_000;

const policy = rulePolicy({
  id: 'p',
  rules: [
    { id: 'reads', tools: ['fs/read', 'fs/gated'], effect: 'allow', unless: "has(args.gate) && args.gate == 'up'" },
    { id: 'ask', tools: ['fs/refund'], effect: 'require_approval', reason: 'over 500' },
    { id: 'gate', tools: ['fs/gated'], when: "has(args.gate) && args.gate == 'up'", effect: 'require_approval' },
    { id: 'sure', tools: ['fs/sure'], effect: 'require_approval', approval: { assurance: 'medium' } },
    { id: 'surest', tools: ['fs/surest'], effect: 'require_approval', approval: { assurance: 'high' } },
    { id: 'named', tools: ['fs/named'], effect: 'require_approval', approval: { approvers: ['alice'] } },
    { id: 'two', tools: ['fs/two'], effect: 'require_approval', approval: { quorum: 2 } },
    { id: 'never', tools: ['fs/never'], effect: 'deny' },
  ],
});

export interface BenchOptions extends ApprovalOptions {
  readonly holdMs?: number;
}

export class Bench {
  readonly clock = fixedClock(Date.now());
  readonly store = memoryStore({ clock: this.clock });
  readonly guard: Guard = createGuard({ agent: 'bot', policy, store: this.store, session: 's1' });
  readonly log: string[] = [];
  readonly target: Target;
  readonly received: string[] = [];
  readonly clients: BenchClient[] = [];
  readonly changed = new EventEmitter();

  constructor({ holdMs = LONG_MS, ...approvals }: BenchOptions = {}) {
    this.changed.setMaxListeners(100);
    this.target = new Target({
      guard: async () => this.guard,
      server: 'fs',
      log: (text) => {
        this.log.push(text);
        this.changed.emit('change');
      },
      mcp: { holdMs },
      approvals: { ask: ['form', 'url'], heartbeatMs: LONG_MS, ...approvals },
    });
  }

  client(options: Partial<InterposerOptions> = {}): BenchClient {
    const client = new BenchClient(this, options);
    this.clients.push(client);
    return client;
  }

  async until(claim: () => boolean): Promise<void> {
    while (!claim()) await new Promise((resolve) => this.changed.once('change', resolve));
  }

  /** So many calls wait for a person. */
  async waiting(count: number): Promise<readonly ApprovalRow[]> {
    for (;;) {
      const rows = await this.guard.approvals.list({ state: 'pending' });
      if (rows.length === count) return rows;
      await new Promise(setImmediate);
    }
  }

  async pending(): Promise<ApprovalRow> {
    const [row] = await this.guard.approvals.list({ state: 'pending' });
    if (row === undefined) throw new Error('nothing is pending');
    return row;
  }

  async approve(id?: string): Promise<void> {
    await this.guard.approvals.resolve(id ?? (await this.pending()).id, { decision: 'approve' }, { id: 'ann', method: 'host' });
  }

  /** What the ledger says, in the order it was written. */
  entries(): readonly string[] {
    return this.store.entries().flatMap((entry) => {
      if (entry.kind === 'decision') return [`${entry.effect} ${entry.tool.name} ${entry.reason_code}`];
      if (entry.kind === 'approval') return [`${entry.answer} by ${entry.approver.id} (${entry.approver.assurance})`];
      return entry.kind === 'outcome' ? [entry.status] : [];
    });
  }
}

export class BenchClient {
  readonly #bench: Bench;
  readonly got: JsonObject[] = [];
  readonly lane: Lane;
  readonly interposer: Interposer;
  dropped = 0;

  constructor(bench: Bench, options: Partial<InterposerOptions>) {
    this.#bench = bench;
    const change = (): void => void bench.changed.emit('change');
    this.lane = {
      toClient: (bytes) => {
        const message: unknown = JSON.parse(bytes.toString());
        if (!isObject(message) || bytes.at(-1) !== 0x0a) throw new Error('not one message');
        this.got.push(message);
        change();
      },
      toServer: (bytes) => {
        bench.received.push(bytes.toString());
        change();
      },
      dropped: () => {
        this.dropped++;
        change();
      },
    };
    this.interposer = new Interposer({ target: bench.target, lane: this.lane, ...options });
  }

  /** Without its newline. */
  send(...texts: readonly string[]): void {
    for (const line of new LineReader().push(Buffer.from(texts.map((text) => `${text}\n`).join('')))) this.interposer.fromClient(line);
  }

  initialize(elicitation?: unknown): void {
    const capabilities = elicitation === undefined ? {} : { elicitation };
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c', version: '1' } };
    this.send(JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params }));
    this.server('{"jsonrpc":"2.0","id":"init","result":{"protocolVersion":"2025-11-25"}}');
    this.got.length = 0;
    this.#bench.received.length = 0;
  }

  server(text: string): void {
    for (const line of new LineReader().push(Buffer.from(`${text}\n`))) this.interposer.fromServer(line);
  }

  async until(claim: () => boolean): Promise<void> {
    await this.#bench.until(claim);
  }

  /** Messages of a method that came so far. */
  of(method: string): readonly JsonObject[] {
    return this.got.filter((message) => message['method'] === method);
  }

  /** The first question, once it is there. */
  async question(count = 1): Promise<{ readonly id: string; readonly params: JsonObject }> {
    await this.until(() => this.of('elicitation/create').length >= count);
    const { id, params } = this.of('elicitation/create')[count - 1] ?? {};
    if (typeof id !== 'string' || !isObject(params)) throw new Error('not a question');
    return { id, params };
  }

  async answer(id: number): Promise<JsonObject> {
    await this.until(() => this.got.some((message) => message['id'] === id));
    return this.got.find((message) => message['id'] === id) ?? {};
  }
}

export const call = (id: number, name: string, args: string = '{"amount":600}', more = ''): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}${more}}}`;

export const accept = (id: string, content: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, result: { action: 'accept', content } });
export const reply = (id: string, result: unknown): string => JSON.stringify({ jsonrpc: '2.0', id, result });

export function textOf(answer: JsonObject): string {
  const result = answer['result'];
  const content = isObject(result) ? result['content'] : undefined;
  const [block] = Array.isArray(content) ? (content as readonly unknown[]) : [];
  return isObject(block) && typeof block['text'] === 'string' ? block['text'] : '';
}

export function codeOf(answer: JsonObject): unknown {
  const { result, error } = answer;
  const meta = isObject(result) ? result['_meta'] : isObject(error) ? error['data'] : undefined;
  return isObject(meta) ? meta['countersign/reasonCode'] : undefined;
}
