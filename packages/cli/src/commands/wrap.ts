import { join } from 'node:path';
import { stateDirectory } from '@countersign/core/sqlite';
import type { Command, Invocation } from '../command.ts';
import { configOf, configPath, hasConfig } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { tellFoundClients } from '../wrap/found-clients.ts';
import { wrapHooks } from '../wrap/hook-settings.ts';
import { refuseChangesInsideGuard } from '../wrap/inside-guard.ts';
import { ownProgram, refuseVariables } from '../wrap/program.ts';
import { carryOut } from '../wrap/rewrite.ts';
import { type ServerReport, wrapServers } from '../wrap/server-list.ts';
import { clientNamed, HOOKS_OPTION, TARGET_OPTIONS, targetsOf } from '../wrap/target.ts';

export const wrapCommand: Command = {
  name: 'wrap',
  summary: "put the proxy before a client's MCP servers; without a client: which are here",
  positionals: [{ name: 'client', required: false }],
  options: [...TARGET_OPTIONS, HOOKS_OPTION],
  notes: [
    'Clients: claude-desktop, claude-code, cursor, vscode, windsurf, gemini-cli, codex.',
    'Every server that the client starts itself is started through `countersign proxy`; its env, its other keys, comments and the rest of the file stay byte for byte. Doing it again brings paths up to date. A back-up with mode 600 is put beside the file; `countersign unwrap` takes it all back. Nothing in the file is run.',
    'With --config, or a countersign.yaml here, the servers are guarded by that configuration; without one the proxy only watches.',
  ],
  example: 'countersign wrap cursor --dry-run',
  async run(invocation) {
    const { output, flags, positionals } = invocation;
    const [name] = positionals;
    if (name === undefined) {
      if (TARGET_OPTIONS.some((option) => flags.on(option.name)))
        throw new UsageError('wrap needs <client> with these options', 'run `countersign wrap` to see the clients on this machine');
      return tellFoundClients(invocation);
    }
    const client = clientNamed(name);
    if (!flags.on('dry-run')) refuseChangesInsideGuard(invocation);
    if (flags.on('hooks')) {
      if (client.id !== 'claude-code') throw new UsageError(`${client.title} has no hooks that are known here`, 'leave --hooks out');
      return wrapHooks(invocation);
    }
    const program = ownProgram();
    const config = usedConfig(invocation);
    const isDryRun = flags.on('dry-run');
    // All are read before one is written.
    const rewrites = targetsOf(invocation, client).map((target) => {
      const { path, text } = target.file;
      const request = { program, config, keepsConfig: target.isUsers, only: flags.texts('server') };
      return { target, result: wrapServers({ ...client, path, text }, request) };
    });
    const files = carryOut(rewrites, isDryRun, output);
    const servers = rewrites.flatMap(({ result }) => result.servers);
    output.result({ client: client.id, config: config ?? null, dry_run: isDryRun, files });
    if (program.warning !== undefined) output.note(`countersign: ${program.warning}`);
    for (const line of nextSteps(invocation, { restart: client.restart, isDryRun, servers })) output.line(line);
    return EXIT.OK;
  },
};

/** Absolute; checked now, since a proxy does not start with one that is wrong, and a client hides why. */
function usedConfig(invocation: Invocation): string | undefined {
  if (!hasConfig(invocation)) return undefined;
  configOf(invocation);
  const path = configPath(invocation);
  refuseVariables(path);
  return path;
}

interface Done {
  readonly restart: string;
  readonly isDryRun: boolean;
  readonly servers: readonly ServerReport[];
}

function nextSteps({ io, flags, positionals, output }: Invocation, { restart, isDryRun, servers }: Done): readonly string[] {
  if (isDryRun) return ['Nothing was written: this was a dry run.'];
  const guarded = servers.filter(({ server }) => server !== undefined);
  if (guarded.length === 0) return ['Nothing is wrapped.'];
  // One that an entry had already may still be in it.
  const config = guarded.find((each) => each.config !== undefined)?.config;
  const records = config ?? join(stateDirectory(io.env), 'unconfigured', 'countersign.yaml');
  return [
    ...(guarded.some((each) => each.config === undefined)
      ? [
          output.style('warn', 'NOTHING IS BLOCKED: without a configuration the proxy watches and records, with the baseline pack.'),
          'To enforce rules: countersign init, then `mode: enforce` in countersign.yaml, then wrap again from that folder.',
          '',
        ]
      : []),
    ...(flags.on('project') ? ['The file now holds paths of this machine: do not commit it where others use the project.', ''] : []),
    'next:',
    `  ${restart}`,
    ...(config === undefined ? [] : [`  countersign doctor --config ${safe(config)}`]),
    `  let it call a tool, then: countersign filter --config ${safe(records)}`,
    `  to take it back: countersign unwrap ${safe(positionals[0] ?? '')}`,
  ];
}
