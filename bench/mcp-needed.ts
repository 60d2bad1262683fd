/** What nobody can leave out of the calls that go by on the wire: each is read, and its decision and its outcome are made. */
import { memoryStore } from '@countersign/core/testing';
import { benchSigner } from './fixtures.ts';
import { bareRows, signedBy } from './floor.ts';
import { ECHO_POLICY, ECHO_SERVER } from './mcp-fixtures.ts';
import { type Decided, neededWork } from './needed.ts';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly arguments?: unknown };
  readonly result?: unknown;
}

export interface Passing {
  /** Before it goes on to the server. */
  readonly fromClient: (text: string) => void;
  /** Before it goes on to the client. */
  readonly fromServer: (text: string) => void;
}

/** @param path - of a signed ledger's bare tables: a decision is durable before its call goes on, an outcome with the next one. */
export function neededOnTheWay(path?: string): Passing {
  const needed = neededWork(ECHO_POLICY, memoryStore(), { server: ECHO_SERVER, name: 'echo' });
  const rows = path === undefined ? undefined : bareRows(signedBy(benchSigner()), path);
  const decided = new Map<number, Decided>();
  let settle: (() => void) | undefined;
  return {
    fromClient(text) {
      const { id, method, params }: Message = JSON.parse(text);
      if (method !== 'tools/call' || id === undefined) return;
      const decision = needed.decide(params?.arguments);
      rows?.commit(() => {
        settle?.();
        rows.decide(decision);
      });
      decided.set(id, decision);
    },
    fromServer(text) {
      const { id, result }: Message = JSON.parse(text);
      const decision = id === undefined ? undefined : decided.get(id);
      if (id === undefined || decision === undefined) return;
      decided.delete(id);
      const outcome = needed.settle(decision.call, { of: 0, leaf: decision.leaf }, result);
      settle = () => rows?.settle(decision.call, outcome);
    },
  };
}
