import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { unwrapHooks } from '../wrap/hook-settings.ts';
import { refuseChangesInsideGuard } from '../wrap/inside-guard.ts';
import { carryOut } from '../wrap/rewrite.ts';
import { unwrapServers } from '../wrap/server-list.ts';
import { clientNamed, HOOKS_OPTION, TARGET_OPTIONS, targetsOf } from '../wrap/target.ts';

export const unwrapCommand: Command = {
  name: 'unwrap',
  summary: 'give a client its MCP servers back as they were before `wrap`',
  positionals: [{ name: 'client', required: true }],
  options: [...TARGET_OPTIONS, HOOKS_OPTION],
  notes: [
    'The old entry is in the new one, so no back-up is needed. An entry whose options somebody changed since is left alone and named.',
  ],
  example: 'countersign unwrap cursor',
  async run(invocation) {
    const { output, flags, positionals } = invocation;
    const client = clientNamed(positionals[0] ?? '');
    if (!flags.on('dry-run')) refuseChangesInsideGuard(invocation);
    if (flags.on('hooks')) {
      if (client.id !== 'claude-code') throw new UsageError(`${client.title} has no hooks that are known here`, 'leave --hooks out');
      return unwrapHooks(invocation);
    }
    const isDryRun = flags.on('dry-run');
    const rewrites = targetsOf(invocation, client).map((target) => {
      const { path, text } = target.file;
      return { target, result: unwrapServers({ ...client, path, text }, flags.texts('server')) };
    });
    const files = carryOut(rewrites, isDryRun, output);
    output.result({ client: client.id, dry_run: isDryRun, files });
    const restored = rewrites.some(({ result }) => result.servers.some(({ status }) => status === 'restored'));
    if (isDryRun) output.line('Nothing was written: this was a dry run.');
    else if (restored) output.line(`These servers are no longer guarded. Now ${client.restart}.`);
    else output.line('Nothing was wrapped.');
    return rewrites.some(({ result }) => result.servers.some(({ status }) => status === 'left-alone')) ? EXIT.FAILED : EXIT.OK;
  },
};
