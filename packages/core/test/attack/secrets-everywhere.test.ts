/** Secrets of many kinds in every place a text can come from: not one byte of them is written or told. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import {
  type ApprovalAnswer,
  type Approver,
  createGuard,
  createRedactor,
  definePolicy,
  fileAuditSink,
  type Guard,
  type GuardOptions,
  type HostMonitor,
  type MonitorHost,
  type Policy,
  type PolicyVerdict,
  type ToolCall,
} from '../../src/index.ts';
import { EXPORT_FORMATS, Export, openRecords } from '../../src/sqlite/index.ts';
import { openLedger, tempDirectory } from '../fixtures/ledger.ts';

const GITHUB = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`;
/** Known by configuration only; the slash is escaped in pointers and in some JSON. */
const LITERAL = 'correct-horse/9';
const BADGE = 'EMP-918273';
const WORD = 'Hunter_Secret_7';
const SECRETS = [GITHUB, LITERAL, BADGE, WORD];

const redactor = createRedactor({ values: [LITERAL, WORD], detectors: [{ kind: 'badge', pattern: 'EMP-[0-9]{6}' }] });

type World = { readonly directory: string; readonly told: unknown[]; readonly guard: Guard };

async function leaksOf(run: (world: World) => Promise<void>, policy: Policy = open, more: Partial<GuardOptions> = {}): Promise<string> {
  const directory = tempDirectory();
  const store = openLedger(join(directory, 'ledger.db'), { mirror: { path: join(directory, 'mirror.jsonl') } });
  const printed = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const told: unknown[] = [];
  const guard = createGuard({
    agent: 'a',
    session: 's',
    policy,
    store,
    redactor,
    maskResults: true,
    ...more,
    channels: [
      {
        name: 'test',
        ask: (request) => {
          told.push(request);
          return Promise.resolve();
        },
      },
    ],
    approvals: { notify: (event) => void told.push(event) },
    audit: [
      { include: ['args', 'reason'], write: (record) => void told.push(record), close: () => undefined },
      fileAuditSink({ path: join(directory, 'audit.jsonl'), include: ['args', 'reason'] }),
    ],
  });
  await run({ directory, told, guard });
  await guard.close();
  await store.close();
  told.push(...printed.mock.calls.map(([text]) => String(text)));
  printed.mockRestore();
  const names = readdirSync(directory);
  // A place that was not looked at would prove nothing.
  expect(names).toEqual(expect.arrayContaining(['audit.jsonl', 'ledger.db', 'mirror.jsonl']));
  const files = names.map((file) => readFileSync(join(directory, file)).toString('latin1'));
  const exported = EXPORT_FORMATS.filter((name) => name !== 'dsse').map((format) => {
    const reader = openRecords(join(directory, 'ledger.db'));
    const text = [...new Export(reader, format, { withOpenings: true })].join('');
    reader.close();
    return text;
  });
  return `${files.join('\n')}\n${exported.join('\n')}\n${JSON.stringify(told)}`;
}

const open: Policy = definePolicy({
  id: 'open',
  version: '1',
  evaluate: ({ tool }) =>
    tool.name === 'ask' ? { effect: 'require_approval', rule: 'ask', reason: 'look' } : { effect: 'allow', rule: 'yes' },
});

const call = (args: unknown, more: Partial<ToolCall> = {}): ToolCall => ({ tool: { name: 'read' }, args, ...more });
const saying = (verdict: (secret: string) => PolicyVerdict, secret: string): Policy =>
  definePolicy({ id: 'loose', version: '1', evaluate: () => verdict(secret) });

function without(text: string): void {
  for (const secret of SECRETS) {
    for (const form of new Set([secret, secret.replaceAll('/', '~1'), secret.replaceAll('/', '\\/')])) {
      const at = text.indexOf(form);
      if (at >= 0) expect.fail(`${form} in ...${text.slice(Math.max(0, at - 120), at + 60)}`);
    }
  }
}

class Named extends Error {}
Object.defineProperty(Named, 'name', { value: WORD });

it.each(SECRETS)('%s: arguments of every form', async (secret) => {
  const nested = JSON.stringify({ a: JSON.stringify({ b: [secret] }) });
  without(
    await leaksOf(async ({ guard, told }) => {
      for (const args of [
        { a: secret },
        { [secret]: 1 },
        { [secret]: () => 1 },
        { a: { [secret]: { b: Symbol('x') } } },
        [secret, [secret]],
        { text: nested },
        { url: new URL(`https://h/?q=${secret}`) },
        { map: new Map([[secret, secret]]), set: new Set([secret]), re: new RegExp(secret.replaceAll('/', '\\/')) },
        { argv: ['curl', '-H', `X: ${secret}`] },
        { bytes: Buffer.from(secret) },
        new Named(secret),
      ]) {
        const result = await guard
          .run(call(args), () => ({ text: `was ${secret}`, [secret]: [secret] }))
          .catch((error: unknown) => String(error));
        told.push(result);
        const failed = await guard
          .run(call(args), () => {
            throw new Named(`no ${secret}`, { cause: new Error(secret) });
          })
          .catch(() => undefined);
        told.push(failed);
        told.push(await guard.preview(call(args)));
      }
    }),
  );
});

it.each(SECRETS)('%s: verdicts, containment and halts', async (secret) => {
  let host: MonitorHost | undefined;
  const monitor: HostMonitor = {
    coverage: 'L1',
    open: (given) => void (host = given),
    begin: () => ({ end: () => undefined }),
    close: async () => undefined,
  };
  without(
    await leaksOf(
      async ({ guard, told }) => {
        if (host === undefined) throw new Error('no monitor was opened');
        const session = 's';
        const verdict = {
          kind: 'verdict',
          session,
          level: 'HALT',
          enforced: 'HALT',
          mode: 'enforce_kill',
          rule: 'r',
          evaluator: 'rules',
        } as const;
        const seen = { reason: `read ${secret}`, argv: ['curl', secret], [secret]: { paths: [`/tmp/${secret}`] } };
        const ref = await host.record({ ...verdict, confidence: 1, incident: 'i1', phase: 'after', activity: seen });
        const containment = { kind: 'containment', session, incident: 'i1', event: 'frozen', verdict: ref } as const;
        await host.record({ ...containment, details: seen });
        for (const attempt of [
          host.record({ ...containment, incident: secret }),
          host.record({ ...containment, reason_code: secret }),
          host.record({ ...verdict, confidence: 1, incident: 'i1', phase: 'after', activity: seen, rule: secret }),
          host.halt(secret, 'X'),
          host.halt('s', secret),
          host.halt('s', 'X', { incident: secret }),
          host.note(secret, 1),
        ])
          told.push(await attempt.catch((error: unknown) => String(error)));
        await host.halt('s', 'X');
        await guard.halts.resume({ session: 's' }, { id: 'alice', method: 'host' }, { message: `fine, ${secret}` });
      },
      open,
      { monitor },
    ),
  );
});

it.each(SECRETS)('%s: names of the call', async (secret) => {
  without(
    await leaksOf(async ({ guard, told }) => {
      for (const more of [
        { tool: { name: secret } },
        { tool: { name: 'read', server: secret } },
        { tool: { name: 'read', schema: secret } },
        { session: secret },
        { principal: secret },
        { id: secret, turn: secret },
        { tool: { name: 'ask', annotations: { title: secret } } },
      ] as Partial<ToolCall>[]) {
        told.push(await guard.authorize(call({}, more), { approval: 'suspend' }));
      }
      told.push(
        await guard.recordRefusal({
          tool: { name: secret, server: secret },
          session: secret,
          reasonCode: 'ARGUMENTS_INVALID',
          reason: secret,
        }),
      );
    }),
  );
});

it.each(SECRETS)('%s: what a policy of code says', async (secret) => {
  const verdicts: readonly ((text: string) => PolicyVerdict)[] = [
    (text) => ({ effect: 'deny', reason: text }),
    (text) => ({ effect: 'deny', rule: text }),
    (text) => ({ effect: 'allow', labels: [text] }),
    (text) => ({ effect: 'deny', reasonCode: text }),
    (text) => ({ effect: 'abstain', reason: text }),
    (text) => ({ effect: 'require_approval', reason: text, terms: { approvers: [text] } }),
    (text) => {
      throw new Error(text);
    },
  ];
  for (const verdict of verdicts) {
    without(
      await leaksOf(
        async ({ guard, told }) => {
          told.push(await guard.authorize(call({}), { approval: 'suspend' }));
        },
        saying(verdict, secret),
      ),
    );
  }
});

it.each(SECRETS)('%s: people', async (secret) => {
  without(
    await leaksOf(async ({ guard, told }) => {
      const ask = async (): Promise<string> => {
        const pending = await guard.authorize(call({ n: 1 }, { tool: { name: 'ask' } }), { approval: 'suspend' });
        if (pending.kind !== 'pending') throw new Error('nobody was asked');
        return pending.approvalId;
      };
      const host: Approver = { id: 'ann', method: 'host' };
      const answer = (given: ApprovalAnswer, who: Approver = host): Promise<void> =>
        ask()
          .then((id) => guard.approvals.resolve(id, given, who))
          .then(
            (row) => void told.push(row),
            (error: unknown) => void told.push(String(error)),
          );
      await answer({ decision: 'approve', message: secret });
      await answer({ decision: 'deny', message: secret });
      await answer({ decision: 'approve' }, { id: secret, method: 'host' });
      await answer({ decision: 'deny' }, { id: `ann ${secret}`, method: 'webhook' });
      await answer({ decision: 'edit', args: { n: secret } });
      await answer({ decision: 'edit', args: { [secret]: 1 } });
      await answer({ decision: 'approve', grant: { ttlMs: 1000, uses: 1, reason: secret } });
      await answer({ decision: 'approve', grant: { ttlMs: 1000, uses: 1, reason: 'r', when: `args.n == "${secret}"` } });
      await guard.approvals.resolve(secret, { decision: 'deny' }, host).catch((error: unknown) => told.push(String(error)));
      await guard.approvals.revoke(await ask(), host, { message: secret }).catch((error: unknown) => told.push(String(error)));
    }),
  );
});
