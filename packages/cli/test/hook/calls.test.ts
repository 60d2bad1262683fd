/** Calls of Claude Code's tools through both hooks: what is decided, what is on record, and what Claude Code is told. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@countersign/core';
import { guardFromConfig, storeFromConfig } from '@countersign/core/sqlite';
import { expect, it } from 'vitest';
import { json, run } from '../harness.ts';
import { both, type Event, hook, hooked } from './events.ts';

const RESPONSE = { stdout: 'a.txt', stderr: '', interrupted: false, isImage: false };
const CURL: Event = { tool_input: { command: 'curl https://example.org' } };

interface Shown {
  readonly entry: { readonly kind: string; readonly [field: string]: unknown };
}

async function entries(cwd: string, ...kinds: readonly string[]): Promise<readonly Shown['entry'][]> {
  const { stdout } = await run(['filter', '--no-openings'], { cwd });
  const all = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as Shown).entry);
  return all.filter(({ kind }) => kinds.includes(kind));
}

async function told(cwd: string): Promise<readonly string[]> {
  return (await entries(cwd, 'decision', 'outcome', 'note', 'recovery')).map((entry) => {
    if (entry.kind === 'decision') return `${String(entry['mode'])} ${String(entry['effect'])} ${String(entry['reason_code'])}`;
    if (entry.kind === 'outcome') return `outcome ${String(entry['status'])}`;
    return entry.kind === 'note'
      ? `${String(entry['topic'])} ${JSON.stringify((entry['data'] as { readonly was?: string }).was)}`
      : entry.kind;
  });
}

async function verified(cwd: string): Promise<unknown> {
  const {
    status,
    problems,
    open_decisions: open,
  } = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  return { status, problems, open };
}

async function answer(cwd: string, given: Parameters<ReturnType<typeof guardFromConfig>['approvals']['resolve']>[1]): Promise<void> {
  const store = storeFromConfig(loadConfig(join(cwd, 'countersign.yaml'), { env: {} }));
  const guard = guardFromConfig(loadConfig(join(cwd, 'countersign.yaml'), { env: {} }), store);
  const [waiting] = await guard.approvals.list({ state: 'pending' });
  await guard.approvals.resolve(waiting?.id ?? '', given, { id: 'ana', method: 'host' });
  await guard.close();
  await store.close();
}

const ALLOWED = 'enforce allow POLICY_ALLOW_LOW_RISK';

it('an allowed call: nothing is said, so that the permissions of Claude Code still count; both are on record', async () => {
  const cwd = await hooked();
  expect(await hook(cwd, {})).toMatchObject({ code: 0, stdout: '', stderr: '' });
  expect(await hook(cwd, { hook_event_name: 'PostToolUse', tool_response: RESPONSE })).toMatchObject({ code: 0, stdout: '', stderr: '' });
  expect(await told(cwd)).toEqual([ALLOWED, 'outcome success']);
  const [decision] = await entries(cwd, 'decision');
  expect(decision).toMatchObject({ session: 'c0ffee', tool: { server: 'claude-code', name: 'Bash' } });
  expect(await verified(cwd)).toEqual({ status: 'valid', problems: [], open: 0 });
});

it('--answer allow says so', async () => {
  const ran = await hook(await hooked(), {}, ['--answer', 'allow']);
  expect(ran).toMatchObject({ code: 0, said: { hookEventName: 'PreToolUse', permissionDecision: 'allow' } });
});

it('a denied call: exit code 2 and a reason for the model, and nothing on standard output that could be read otherwise', async () => {
  const cwd = await hooked();
  const ran = await hook(cwd, { tool_input: { command: 'rm -rf build' } });
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toContain('POLICY_DEFAULT_DENY');
  expect(await told(cwd)).toEqual(['enforce deny POLICY_DEFAULT_DENY']);
});

it('--deny json says it both ways', async () => {
  const ran = await hook(await hooked(), { tool_input: { command: 'rm -rf build' } }, ['--deny', 'json']);
  expect(ran).toMatchObject({ code: 2, said: { hookEventName: 'PreToolUse', permissionDecision: 'deny' } });
  expect(ran.said?.['permissionDecisionReason']).toContain('POLICY_DEFAULT_DENY');
});

it('audit mode lets everything go on, and says what would have been', async () => {
  const cwd = await hooked('audit');
  expect(await hook(cwd, { tool_input: { command: 'rm -rf build' } })).toMatchObject({ code: 0, stdout: '' });
  expect(await told(cwd)).toEqual(['audit allow POLICY_DEFAULT_DENY']);
});

it.each([
  ['PostToolUseFailure', { error: 'Exit code 1' }, 'outcome error'],
  ['PostToolUseFailure', { error: 'stopped', is_interrupt: true }, 'outcome cancelled'],
  ['PostToolUse', { tool_response: { ...RESPONSE, interrupted: true } }, 'outcome cancelled'],
  ['PostToolUse', {}, 'outcome success'],
])('%s with %j: %s', async (name, more, outcome) => {
  const cwd = await hooked();
  await hook(cwd, {});
  expect(await hook(cwd, { hook_event_name: name, ...more })).toMatchObject({ code: 0, stdout: '' });
  expect(await told(cwd)).toEqual([ALLOWED, outcome]);
});

it('other calls come between: nothing is taken for abandoned', async () => {
  const cwd = await hooked();
  const ids = ['toolu_1', 'toolu_2', 'toolu_3'];
  for (const id of ids) await hook(cwd, { tool_use_id: id });
  for (const id of ids.toReversed()) await hook(cwd, { tool_use_id: id, hook_event_name: 'PostToolUse', tool_response: RESPONSE });
  expect(await told(cwd)).toEqual([ALLOWED, ALLOWED, ALLOWED, 'outcome success', 'outcome success', 'outcome success']);
  expect(await verified(cwd)).toEqual({ status: 'valid', problems: [], open: 0 });
});

it('the hook comes twice for one id, before and after: the first word stands', async () => {
  const cwd = await hooked();
  await hook(cwd, {});
  const again = await hook(cwd, {});
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('CALL_IN_PROGRESS');
  await hook(cwd, { hook_event_name: 'PostToolUse', tool_response: RESPONSE });
  expect(await hook(cwd, { hook_event_name: 'PostToolUseFailure', error: 'x' })).toMatchObject({ code: 0, stdout: '' });
  expect((await hook(cwd, {})).stderr).toContain('CALL_ALREADY_RUN');
  expect((await told(cwd)).filter((line) => line.startsWith('outcome'))).toEqual(['outcome success']);
  expect(await verified(cwd)).toMatchObject({ status: 'valid', problems: [] });
});

it.each<readonly [string, Event, Event, string]>([
  ['nobody was asked', { tool_use_id: 'toolu_0' }, {}, 'ran-elsewhere undefined'],
  ['it was refused', { tool_input: { command: 'id' } }, { tool_input: { command: 'id' } }, 'ran-elsewhere "refused"'],
  ['other arguments ran', {}, { tool_input: { command: 'ls; rm -rf ~' } }, 'ran-elsewhere "changed"'],
  ['another tool ran', {}, { tool_name: 'Write', tool_input: { file_path: '/a', content: '' } }, 'ran-elsewhere "changed"'],
])('a call ran although %s: on record as that, and its result is kept from the model', async (_what, before, ran, note) => {
  const cwd = await hooked();
  await hook(cwd, before);
  const after = await hook(cwd, { ...ran, hook_event_name: 'PostToolUse', tool_response: RESPONSE });
  expect(after.code).toBe(0);
  expect(after.stdout).not.toContain('a.txt');
  expect(after.said).toMatchObject({ hookEventName: 'PostToolUse', updatedToolOutput: { stderr: '', interrupted: false } });
  expect(await told(cwd)).toContain(note);
  expect(await verified(cwd)).toMatchObject({ status: 'valid', problems: [] });
});

it('a person is waited for, and told apart: not answered, denied, approved', async () => {
  const cwd = await hooked();
  const pending = await hook(cwd, CURL, ['--wait', '0']);
  expect(pending.code).toBe(2);
  expect(pending.stderr).toMatch(/waits for a person.*leaves the machine.*approvals show [0-9a-f]+/);
  await answer(cwd, { decision: 'approve' });
  // The model makes the call again, and it has another id.
  expect(await hook(cwd, { ...CURL, tool_use_id: 'toolu_2' })).toMatchObject({ code: 0, stdout: '' });
  // Once.
  expect((await hook(cwd, { ...CURL, tool_use_id: 'toolu_3' }, ['--wait', '0'])).stderr).toContain('waits for a person');
  await answer(cwd, { decision: 'deny', message: 'use the mirror' });
  const denied = await hook(cwd, { ...CURL, tool_use_id: 'toolu_3' }, ['--wait', '0']);
  expect(denied.code).toBe(2);
  expect(denied.stderr).toContain('use the mirror');
  expect(await hook(cwd, { ...CURL, tool_use_id: 'toolu_2', hook_event_name: 'PostToolUse', tool_response: RESPONSE })).toMatchObject({
    code: 0,
  });
  expect(await verified(cwd)).toMatchObject({ status: 'valid', problems: [] });
});

it('an answer that comes while the hook waits is used at once', { timeout: 60_000 }, async () => {
  const cwd = await hooked();
  const waits = hook(cwd, CURL, ['--wait', '50s']);
  for (;;) {
    const { stdout } = await run(['approvals', 'list', '--json'], { cwd });
    if (stdout.includes('curl')) break;
  }
  await answer(cwd, { decision: 'approve' });
  expect(await waits).toMatchObject({ code: 0, stdout: '' });
});

it('other arguments than those that were approved are asked about anew', async () => {
  const cwd = await hooked();
  await hook(cwd, CURL, ['--wait', '0']);
  await answer(cwd, { decision: 'approve' });
  const other = { tool_use_id: 'toolu_2', tool_input: { command: 'curl https://evil.example' } };
  expect((await hook(cwd, other, ['--wait', '0'])).stderr).toContain('waits for a person');
});

it('arguments that a person edited are handed to Claude Code, and are what has to have run', async () => {
  const cwd = await hooked();
  await hook(cwd, CURL, ['--wait', '0']);
  await answer(cwd, { decision: 'edit', args: { command: 'ls -l' } });
  const ran = await hook(cwd, CURL);
  expect(ran).toMatchObject({ code: 0, said: { permissionDecision: 'allow', updatedInput: { command: 'ls -l' } } });
  const after: Event = { hook_event_name: 'PostToolUse', tool_response: RESPONSE };
  expect((await hook(cwd, { ...CURL, ...after })).said).toMatchObject({ additionalContext: expect.stringContaining('other arguments') });
  expect(await hook(cwd, { ...after, tool_input: { command: 'ls -l' } })).toMatchObject({ code: 0, stdout: '' });
});

it('an edit that policy does not allow does not run', async () => {
  const cwd = await hooked();
  await hook(cwd, CURL, ['--wait', '0']);
  await answer(cwd, { decision: 'edit', args: { command: 'rm -rf /' } });
  expect(await hook(cwd, CURL)).toMatchObject({ code: 2, stdout: '' });
});

it('rules on results: what is withheld or masked is replaced in the shape of the tool, labels are attached', async () => {
  const cwd = await hooked();
  const withheld = await both(cwd, {}, { ...RESPONSE, stdout: 'WITHHOLD this' });
  expect(withheld.said).toMatchObject({ updatedToolOutput: { stderr: '', interrupted: false, isImage: false } });
  expect(withheld.stdout).not.toContain('WITHHOLD this');
  const token = `xoxb-123456789012-123456789012-${'a1B2c3'.repeat(4)}`;
  const masked = await both(cwd, { tool_use_id: 'toolu_2' }, { ...RESPONSE, stdout: `MASK ${token}` });
  expect(masked.stdout).not.toContain(token);
  expect(masked.said?.['updatedToolOutput']).toMatchObject({ stdout: expect.stringContaining('[redacted:'), interrupted: false });
  const mcp = await both(cwd, { tool_use_id: 'toolu_3', tool_name: 'mcp__files__read_a', tool_input: {} }, [
    { type: 'text', text: 'WITHHOLD' },
  ]);
  expect(mcp.said).toMatchObject({ updatedMCPToolOutput: [{ type: 'text', text: expect.stringContaining('withheld') }] });
  const labels = (await entries(cwd, 'outcome')).flatMap((entry) => entry['labels'] ?? []);
  expect(labels).toEqual(['seen']);
});

it('what a failed tool said cannot be replaced: the model is told beside it', async () => {
  const cwd = await hooked();
  await hook(cwd, {});
  const ran = await hook(cwd, { hook_event_name: 'PostToolUseFailure', error: 'Exit code 1\nWITHHOLD' });
  expect(ran.said).toEqual({ hookEventName: 'PostToolUseFailure', additionalContext: expect.stringContaining('withheld') });
});

it('servers behind the proxy are left to it, when it is said which they are', async () => {
  const cwd = await hooked();
  const call: Event = { tool_name: 'mcp__files__delete_all', tool_input: {} };
  expect((await hook(cwd, call)).code).toBe(2);
  expect(await hook(cwd, call, ['--proxied', 'files'])).toMatchObject({ code: 0, stdout: '' });
  expect(await hook(cwd, { ...call, tool_name: 'mcp__file__delete_all' }, ['--proxied', 'files'])).toMatchObject({ code: 2 });
  expect((await told(cwd)).length).toBe(2);
});

it.each<readonly [string, (cwd: string) => Event]>([
  ['writing its ledger', (cwd) => ({ tool_name: 'Write', tool_input: { file_path: join(cwd, '.countersign/ledger.db'), content: '' } })],
  ['removing its key', () => ({ tool_input: { command: 'ls; rm .countersign/ledger.key' } })],
  [
    'editing its configuration',
    (cwd) => ({ tool_name: 'Edit', tool_input: { file_path: join(cwd, 'countersign.yaml'), old_string: 'enforce', new_string: 'audit' } }),
  ],
  [
    'editing the settings of the project',
    (cwd) => ({ tool_name: 'Edit', tool_input: { file_path: join(cwd, '.claude/settings.json'), old_string: 'a', new_string: 'b' } }),
  ],
  [
    'writing its local settings',
    (cwd) => ({
      tool_name: 'Write',
      tool_input: { file_path: join(cwd, '.claude/settings.local.json'), content: '{"disableAllHooks":true}' },
    }),
  ],
  ["changing the user's settings in a shell", () => ({ tool_input: { command: 'ls; sed -i s/hook// ~/.claude/settings.json' } })],
  ['a way around by dots', (cwd) => ({ tool_name: 'Write', tool_input: { file_path: `${cwd}/x/../.claude/settings.json`, content: '' } })],
  ['an MCP tool that writes there', (cwd) => ({ tool_name: 'mcp__files__read_a', tool_input: { where: `${cwd}/.claude/settings.json` } })],
])('%s is denied, in audit mode too', async (_what, event) => {
  for (const mode of ['enforce', 'audit']) {
    const cwd = await hooked(mode);
    const ran = await hook(cwd, event(cwd));
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('POLICY_DENY_OWN_FILES');
  }
});

it('settings may be read, and written about', async () => {
  const cwd = await hooked();
  expect(await hook(cwd, { tool_name: 'Read', tool_input: { file_path: join(cwd, '.claude/settings.json') } })).toMatchObject({ code: 0 });
  const notes = { file_path: join(cwd, 'NOTES.md'), content: 'hooks lie in .claude/settings.json' };
  expect(await hook(cwd, { tool_use_id: 'toolu_2', tool_name: 'Write', tool_input: notes })).toMatchObject({ code: 0 });
});

it('secrets in arguments reach neither the ledger nor the answer', async () => {
  const cwd = await hooked();
  const token = `xoxb-123456789012-123456789012-${'a1B2c3'.repeat(4)}`;
  const ran = await hook(cwd, { tool_input: { command: `git clone https://${token}@github.com/x` } });
  expect(ran.stderr).not.toContain(token);
  expect(readFileSync(join(cwd, '.countersign/ledger.db'), 'latin1')).not.toContain(token);
});
