/** Hooks in the settings of Claude Code: put in once, taken out again, and everything else left as it was. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'jsonc-parser';
import { expect, it } from 'vitest';
import { hasHooks, hookCommand, withHooks, withoutHooks } from '../../src/wrap/claude-hooks.ts';
import { json, run } from '../harness.ts';
import { eventText, hooked } from '../hook/events.ts';

const COMMAND = "'/opt/node' '/opt/it'\\''s/main.js' hook claude-code --config '/srv/c.yaml' || exit 2";
const MINE = `{
  // mine
  "permissions": { "deny": ["Bash(rm:*)"] },
  "hooks": {
    "PreToolUse": [
      { "matcher": "Bash", "hooks": [{ "type": "command", "command": "./lint.sh" }] }
    ],
    "Stop": [{ "hooks": [{ "type": "command", "command": "say done" }] }]
  }
}
`;

it.each([
  ['nothing', ''],
  ['an empty object', '{}\n'],
  ['settings with hooks and comments', MINE],
  ['settings with windows line ends', MINE.replaceAll('\n', '\r\n')],
  ['tabs', MINE.replaceAll('  ', '\t')],
])('puts them into %s, once, and takes them out', (_what, text) => {
  const path = '/home/a/.claude/settings.json';
  const once = withHooks({ path, text }, COMMAND);
  expect(withHooks({ path, text: once }, COMMAND)).toBe(once);
  const { hooks } = parse(once);
  for (const event of ['PreToolUse', 'PostToolUse', 'PostToolUseFailure'])
    expect(hooks[event].at(-1)).toMatchObject({ matcher: '*', hooks: [{ type: 'command', command: COMMAND }] });
  expect(hooks.PreToolUse.at(-1).hooks[0]).toMatchObject({ timeout: 600, onFailure: 'block' });
  const out = withoutHooks({ path, text: once });
  expect(hasHooks({ path, text: out })).toBe(false);
  expect(parse(out)).toEqual(text === '' ? {} : parse(text));
  if (text.includes('mine')) expect(out).toContain('// mine');
});

it('another path or configuration takes the place of the old one', () => {
  const path = 'settings.json';
  const old = withHooks({ path, text: MINE }, COMMAND);
  const moved = withHooks({ path, text: old }, COMMAND.replace('/srv', '/new'));
  expect(moved).not.toContain('/srv/c.yaml');
  expect(parse(moved).hooks.PreToolUse).toHaveLength(2);
  expect(parse(withoutHooks({ path, text: moved }))).toEqual(parse(MINE));
});

it.each(["echo 'hook claude-code' || exit 2x", 'countersign hook claude-code --config x', './mine.sh hook claude-code || exit 2'])(
  'an entry of somebody else is left alone: %s',
  (command) => {
    const text = JSON.stringify({ hooks: { PreToolUse: [{ hooks: [{ type: 'command', command }] }] } });
    expect(withoutHooks({ path: 's', text })).toBe(text);
  },
);

it.each(['[]', '1', '{"hooks":[]}', '{"hooks":{"PreToolUse":{}}}', '{', '{"hooks":"x"}'])(
  'refuses settings of another shape: %s',
  (text) => {
    expect(() => withHooks({ path: 's', text }, COMMAND)).toThrow(/shape|not JSON/);
  },
);

it('quotes for a shell', () => {
  expect(hookCommand({ node: '/opt/node', args: ["/opt/it's/main.js"] }, '/srv/c.yaml')).toBe(COMMAND);
});

it('installs a command that refuses and allows, and is not installed a second time elsewhere', { timeout: 60_000 }, async () => {
  const cwd = await hooked();
  const env = { HOME: join(cwd, 'home') };
  mkdirSync(join(env.HOME, '.claude'), { recursive: true, mode: 0o700 });
  const path = join(env.HOME, '.claude/settings.json');
  writeFileSync(path, MINE, { mode: 0o600 });
  const dry = await run(['wrap', 'claude-code', '--hooks', '--dry-run'], { cwd, env });
  expect(dry.stdout).toContain('+');
  expect(readFileSync(path, 'utf8')).toBe(MINE);
  expect(json(await run(['wrap', 'claude-code', '--hooks', '--json'], { cwd, env }))).toMatchObject({ hooks: 'installed', file: path });
  expect(json(await run(['wrap', 'claude-code', '--hooks', '--json'], { cwd, env }))).toMatchObject({ hooks: 'unchanged', backup: null });
  expect(readFileSync(`${path}.countersign-backup`, 'utf8')).toBe(MINE);
  const twice = await run(['wrap', 'claude-code', '--hooks', '--project'], { cwd, env });
  expect(twice.code).toBe(1);
  expect(twice.stderr).toContain('refuse every call');
  const command: string = parse(readFileSync(path, 'utf8')).hooks.PreToolUse[1].hooks[0].command;
  const starts = (input: string): string =>
    execFileSync('/bin/sh', ['-c', command], { cwd, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] });
  expect(starts(eventText({}))).toBe('');
  expect(() => starts(eventText({ tool_use_id: 'toolu_2', tool_input: { command: 'id' } }))).toThrow(
    expect.objectContaining({ status: 2 }),
  );
  expect((await run(['unwrap', 'claude-code', '--hooks'], { cwd, env })).code).toBe(0);
  expect(parse(readFileSync(path, 'utf8'))).toEqual(parse(MINE));
});

it('needs a configuration, and a client that has hooks', async () => {
  const cwd = await hooked();
  const env = { HOME: cwd };
  expect((await run(['wrap', 'cursor', '--hooks'], { cwd, env })).code).toBe(2);
  expect(
    (await run(['wrap', 'claude-code', '--hooks'], { cwd: env.HOME, env: { ...env, COUNTERSIGN_CONFIG: join(cwd, 'none.yaml') } })).code,
  ).not.toBe(0);
  expect(existsSync(join(cwd, '.claude'))).toBe(false);
  expect((await run(['unwrap', 'claude-code', '--hooks'], { cwd, env })).code).not.toBe(0);
});
