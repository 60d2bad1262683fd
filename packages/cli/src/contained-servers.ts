/** Servers that are shut in before they run: how each is started then, and what is told of it. */
import { homedir } from 'node:os';
import { type Config, CountersignError } from '@countersign/core';
import type { GatewayTarget } from '@countersign/mcp-proxy';
import { type Containing, findProgram, openSandbox, type Sandbox, sandboxNotes, startOf } from '@countersign/monitor';
import { safe } from './output.ts';
import { scopeOf } from './watch/configured-scope.ts';
import { ledgerFiles, otherOwnFiles } from './watch/own-files.ts';

export interface ContainedServers {
  readonly servers: readonly GatewayTarget[];
  /** When none of them runs any more. */
  readonly close: () => Promise<void>;
}

/**
 * Nothing of what shuts in is loaded when no server asks for it.
 *
 * @param note - takes one line for people
 * @throws {CountersignError} `MONITOR_UNAVAILABLE`, `CONFIG_INVALID`: no server is started then
 */
export async function containedServers(
  targets: readonly GatewayTarget[],
  config: Config,
  { env, note }: { readonly env: NodeJS.ProcessEnv; readonly note: (text: string) => void },
): Promise<ContainedServers> {
  const opened = new Map<Containing['by'], ReturnType<typeof openSandbox>>();
  const sandboxes = new Set<Sandbox>();
  const close = async (): Promise<void> => {
    for (const sandbox of sandboxes) await sandbox.close();
  };
  const scope = scopeOf(config, env);
  const whenMissing = config.monitor.containUnavailable === 'warn' ? 'without' : 'refuse';
  const servers: GatewayTarget[] = [];
  try {
    for (const target of targets) {
      const server = config.servers.get(target.name);
      const by = server !== undefined && 'command' in server ? server.contain : 'off';
      servers.push(by === 'off' || 'url' in target ? target : await contained(target, by));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { servers, close };

  async function contained(target: Extract<GatewayTarget, { readonly command: string }>, by: Containing['by']): Promise<GatewayTarget> {
    const opening = opened.get(by) ?? openSandbox({ by, whenMissing }, scope);
    opened.set(by, opening);
    const { sandbox, contained: how } = await opening;
    const missing = how.missing.map(({ name, why }) => `${name}: ${why}`).join('; ');
    const told = (text: string): void => note(`countersign: server ${safe(target.name)} ${safe(text)}`);
    if (sandbox === undefined) {
      told(`is NOT SHUT IN: ${missing}`);
      return target;
    }
    sandboxes.add(sandbox);
    const { name, command, args, cwd = process.cwd(), env: own = env, ...rest } = target;
    const found = findProgram(command, cwd, own['PATH']);
    if ('missing' in found) throw new CountersignError('CONFIG_INVALID', `servers.${name}.command: ${command} is ${found.missing}`);
    const files = [
      ...ledgerFiles(config),
      ...otherOwnFiles(config),
      config.monitor.log.dir,
      ...(config.path === undefined ? [] : [config.path]),
    ];
    const prepared = await sandbox.prepare(
      { program: found.program, args, cwd, env: own },
      { workspace: cwd, home: homedir(), own: files },
    );
    told(`is shut in by ${sandbox.name}${missing === '' ? '' : `, not by ${missing}`}`);
    for (const line of sandboxNotes(sandbox.name, prepared.unexpressed)) told(`- ${line}`);
    return { ...rest, name, ...startOf(prepared) };
  }
}
