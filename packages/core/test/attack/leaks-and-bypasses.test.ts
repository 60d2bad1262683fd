/** Secrets and paths that get out; files and costs that get past. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it, vi } from 'vitest';
import { allowAll, budgetFrom, CallRefusedError, createGuard, type Guard, type ToolCall } from '../../src/index.ts';
import { guardOn, openLedger, tempDirectory } from '../fixtures/ledger.ts';

const call = (name: string, args: unknown = {}, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name }, args, ...more });

function ledgerText(path: string): string {
  const raw = new Sqlite(path, { readonly: true });
  const texts = raw.prepare<[], string>('SELECT body FROM entries UNION ALL SELECT sections FROM openings').pluck().all();
  raw.close();
  return texts.join('\n');
}

it.each([
  ['a member named as a secret', (file: string) => ({ credentials: file })],
  ['a name and value pair', (file: string) => ({ env: [{ name: 'API_KEY', value: file }] })],
  ['an assignment in a shell command', (file: string) => ({ command: `API_KEY=${file}; cat "$API_KEY"` })],
  ['a secret parameter of a command', (file: string) => ({ command: `cp --token=${file} /tmp/x` })],
  ['bytes', (file: string) => ({ path: Buffer.from(file) })],
  ['a map', (file: string) => ({ paths: new Map([['a', file]]) })],
])('own files are denied under redaction too: %s', async (_what, argsFor) => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store, { policy: allowAll() });
  expect(await guard.authorize(call('read', argsFor(path)))).toMatchObject({
    kind: 'refusal',
    decision: { reasonCode: 'POLICY_DENY_OWN_FILES' },
  });
  await store.close();
});

it('an error of a schema does not carry a secret argument into refusal and ledger', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard = guardOn(store);
  const schema = {
    parse(input: unknown): unknown {
      const { password } = input as { password: string };
      return JSON.parse(password);
    },
  };
  const login = guard.tool('login', () => 1, { schema });
  const error = await login({ password: 'hunter2 is not JSON' }).catch((thrown: unknown) => thrown);
  if (!(error instanceof CallRefusedError)) throw new Error('expected a refusal');
  expect(`${error.message}\n${ledgerText(path)}`).not.toContain('hunter2');
  await store.close();
});

it.each([
  ['tool name', (secret: string): ToolCall => call(secret)],
  ['session', (secret: string): ToolCall => call('read', {}, { session: secret })],
  ['principal', (secret: string): ToolCall => call('read', {}, { principal: secret })],
])('a secret as %s does not get into the ledger, where nothing can erase it', async (_what, callWith) => {
  const secret = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`;
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  await guardOn(store).authorize(callWith(secret));
  expect(ledgerText(path)).not.toContain(secret);
  await store.close();
});

it('a refusal does not teach the agent where the evidence lies', async () => {
  const directory = tempDirectory();
  const store = openLedger(join(directory, 'ledger.db'));
  const guard = guardOn(store);
  await guard.authorize(call('read'));
  rmSync(join(directory, 'ledger.db'));
  const refused = await guard.authorize(call('read'));
  expect(refused.kind).toBe('refusal');
  const again = await vi.waitFor(async () => {
    const refusal = await guard.authorize(call('read'));
    expect(refusal.decision.reason).toMatch(/LEDGER_ROLLED_BACK|LEDGER_NOT_FOUND/);
    return refusal;
  }, 20_000);
  expect(`${refused.decision.reason}\n${again.decision.reason}`).not.toContain(directory);
  await store.close();
});

it('a cost is worked out from the arguments that run', async () => {
  const path = join(tempDirectory(), 'ledger.db');
  const store = openLedger(path);
  const guard: Guard = createGuard({
    agent: 'a',
    policy: allowAll(),
    store,
    budgets: [{ ...budgetFrom({ id: 'b', per: 'agent', limit: 1 }), cost: (input) => input.cost ?? 0 }],
  });
  const ran = vi.fn<(amount: number) => void>();
  const pay = guard.tool('pay', ({ amount }: { amount: number }) => ran(amount), { cost: ({ amount }) => amount * 1_000_000 });
  const lying = new Proxy({ amount: 1000 }, { get: (target, key) => (key === 'amount' ? 1 : Reflect.get(target, key)) });
  await pay(lying).catch(() => undefined);
  expect(ran).not.toHaveBeenCalledWith(1000);
  await store.close();
});
