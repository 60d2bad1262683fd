/** `wrap claude-code --hooks` and `unwrap claude-code --hooks`: the settings file that is meant, rewritten and told. */
import { join, resolve } from 'node:path';
import type { Invocation } from '../command.ts';
import { configOf, configPath, hasConfig } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { FileRefusedError, UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { hasHooks, hookCommand, switchesHooksOff, withHooks, withoutHooks } from './claude-hooks.ts';
import { type ConfigFile, newConfigFile, readConfigFile, replaceConfigFile } from './config-file.ts';
import { unifiedDiff } from './diff.ts';
import { ownProgram, refuseVariables } from './program.ts';
import { homeOf } from './target.ts';

export async function wrapHooks(invocation: Invocation): Promise<number> {
  if (!hasConfig(invocation))
    throw new UsageError(
      '--hooks needs a configuration: a hook takes none from the folder it runs in',
      'countersign init, or pass --config FILE',
    );
  configOf(invocation);
  const config = configPath(invocation);
  refuseVariables(config);
  const program = ownProgram();
  const path = settingsPath(invocation);
  for (const other of settingsPaths(invocation)) {
    const file = other === path ? undefined : readConfigFile(other);
    if (file !== undefined && hasHooks(file))
      throw new FileRefusedError(
        `${other} names the hook already, and two copies refuse every call`,
        'take that one back first: countersign unwrap claude-code --hooks, with --project for a project',
      );
  }
  const file = readConfigFile(path) ?? newConfigFile(path);
  const text = withHooks(file, hookCommand(program, config));
  tell(invocation, file, text, { action: 'installed', config });
  if (switchesHooksOff({ path, text })) invocation.output.note(`countersign: ${safe(path)} has disableAllHooks: no hook runs`);
  if (program.warning !== undefined) invocation.output.note(`countersign: ${program.warning}`);
  return EXIT.OK;
}

export async function unwrapHooks(invocation: Invocation): Promise<number> {
  const path = settingsPath(invocation);
  const file = readConfigFile(path);
  if (file === undefined) throw new FileRefusedError(`Claude Code has no settings at ${path}`, 'name the file: --file PATH, or --project');
  tell(invocation, file, withoutHooks(file), { action: 'removed' });
  return EXIT.OK;
}

function tell(
  invocation: Invocation,
  file: ConfigFile,
  text: string,
  done: { readonly action: 'installed' | 'removed'; readonly config?: string },
): void {
  const { output, flags } = invocation;
  const isDryRun = flags.on('dry-run');
  const isChanged = text !== file.text;
  const backup = isChanged && !isDryRun ? replaceConfigFile(file, text) : undefined;
  const diff = isDryRun ? unifiedDiff(file.text, text, file.path).map((line) => safe(line.replace(/\r$/, ''))) : [];
  output.result({
    file: file.path,
    hooks: isChanged ? done.action : 'unchanged',
    config: done.config ?? null,
    dry_run: isDryRun,
    backup: backup ?? null,
    ...(isDryRun && { diff }),
  });
  output.line(`${safe(file.path)}: hooks ${isChanged ? done.action : 'unchanged'}`);
  if (backup !== undefined) output.line(`  back-up: ${safe(backup)}`);
  for (const line of diff) output.line(line);
  if (isDryRun) output.line('Nothing was written: this was a dry run.');
  else if (isChanged) output.line('next: end Claude Code and start it again; `/hooks` shows its hooks');
}

function settingsPath({ io, flags }: Invocation): string {
  const file = flags.text('file');
  if (file !== undefined && flags.on('project')) throw new UsageError('--project and --file exclude each other', 'give one of them');
  if (flags.texts('server').length > 0) throw new UsageError('--hooks is about no server', 'leave --server out');
  if (file !== undefined) return resolve(io.cwd, file);
  return flags.on('project') ? join(io.cwd, '.claude', 'settings.json') : userSettings(io);
}

export function settingsPaths({ io, flags }: Pick<Invocation, 'io' | 'flags'>): readonly string[] {
  return [
    userSettings(io),
    join(io.cwd, '.claude', 'settings.json'),
    join(io.cwd, '.claude', 'settings.local.json'),
    ...namedFile({ io, flags }),
  ];
}

function namedFile({ io, flags }: Pick<Invocation, 'io' | 'flags'>): readonly string[] {
  const file = flags.text('file');
  return file === undefined ? [] : [resolve(io.cwd, file)];
}

function userSettings(io: Invocation['io']): string {
  const named = io.env['CLAUDE_CONFIG_DIR'];
  return join(named === undefined || named === '' ? join(homeOf(io).folder, '.claude') : named, 'settings.json');
}
