import { parseDuration } from '@countersign/core';
import type { Command, Invocation } from '../command.ts';
import { UsageError } from '../failure.ts';
import type { Wire } from '../hook/answer.ts';
import type { HookOptions } from '../hook/claude-code.ts';

const DEFAULT_WAIT_MS = 45_000;
/** Claude Code ends a hook after ten minutes, and lets the call run. */
const MAX_WAIT_MS = 8 * 60_000;

export const hook: Command = {
  name: 'hook claude-code',
  summary: "decide calls of Claude Code's own tools, as its hook",
  positionals: [],
  options: [
    {
      name: 'wait',
      kind: 'text',
      value: 'TIME',
      about: 'how long a person is waited for before it is refused as pending; default 45s',
    },
    {
      name: 'answer',
      kind: 'text',
      value: 'HOW',
      about: 'silent (default): Claude Code may still ask; allow: what is allowed skips that',
    },
    { name: 'deny', kind: 'text', value: 'HOW', about: 'exit (default): exit code 2 and a text; json: a JSON answer as well' },
    { name: 'mcp-server', kind: 'texts', value: 'NAME', about: 'an MCP server with two underscores in its name or its tools' },
    {
      name: 'proxied',
      kind: 'texts',
      value: 'NAME',
      about: 'an MCP server behind our proxy: its calls are decided there, not here',
    },
    { name: 'agent', kind: 'text', value: 'NAME', about: 'instead of the agent in the configuration' },
  ],
  notes: [
    'Reads one event on standard input. Nothing is decided without a configuration that --config or COUNTERSIGN_CONFIG names: the one of the folder it runs in could be the work of the agent.',
    'Exit code 0 lets the call go on, 2 refuses it; there is no other. Add `|| exit 2` where it is installed, so that a program that cannot start refuses too; `countersign wrap claude-code --hooks` does.',
  ],
  example: 'countersign hook claude-code --config ~/countersign.yaml || exit 2',
  isProtocol: true,
  async run(invocation) {
    const wire = await wireOf(invocation);
    const { stdout, stderr } = invocation.io;
    if (wire.stdout !== '') stdout.write(wire.stdout);
    if (wire.stderr !== '') stderr.write(wire.stderr);
    return wire.exitCode;
  },
};

/**
 * What the hook answers. Never throws but for options that are wrong.
 *
 * @param client - pid of the client, which counts as a guard as long as it lives. Only a process of its own has one.
 * @throws {UsageError}
 */
export async function wireOf(invocation: Invocation, client?: number): Promise<Wire> {
  const options = { ...optionsOf(invocation), client };
  const { claudeCodeHook } = await import('../hook/claude-code.ts');
  return claudeCodeHook(options);
}

/** How long the hook may take in all. */
export function limitOf({ flags }: Pick<Invocation, 'flags'>): number {
  return waitOf(flags.text('wait')) + OWN_TIME_MS;
}
const OWN_TIME_MS = 45_000;

function optionsOf({ io, output, flags }: Invocation): Omit<HookOptions, 'client'> {
  const fromEnv = io.env['COUNTERSIGN_CONFIG'];
  return {
    stdin: io.stdin,
    env: io.env,
    cwd: io.cwd,
    config: flags.text('config') ?? (fromEnv === '' ? undefined : fromEnv),
    agent: flags.text('agent'),
    waitMs: waitOf(flags.text('wait')),
    answer: choice('--answer', flags.text('answer') ?? 'silent', ['silent', 'allow'] as const),
    denyAs: choice('--deny', flags.text('deny') ?? 'exit', ['exit', 'json'] as const),
    mcpServers: flags.texts('mcp-server'),
    proxied: flags.texts('proxied'),
    program: process.argv[1],
    note: (text) => output.note(text),
  };
}

function waitOf(given: string | undefined): number {
  const ms = given === undefined ? DEFAULT_WAIT_MS : given === '0' ? 1 : parseDuration(given);
  if (ms === undefined || ms > MAX_WAIT_MS)
    throw new UsageError('--wait takes a time of at most 8m', 'for example: --wait 45s, or 0 not to wait');
  return ms;
}

function choice<const Word extends string>(option: string, given: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === given);
  if (found === undefined) throw new UsageError(`${option} is one of ${words.join(', ')}`, 'run `countersign hook claude-code --help`');
  return found;
}
