/** Activities for tests: a home, a workspace, and a clock that moves when it is told. */
import type { Action, Activity, Actor } from '../../src/activity.ts';
import { type RuleEngine, type RuleEngineOptions, ruleEngine } from '../../src/rules/engine.ts';
import { defaultScope, loadScope } from '../../src/scope/load.ts';
import type { Scope } from '../../src/scope/scope.ts';
import type { Verdict } from '../../src/verdict.ts';

export const HOME = '/home/u';
export const WORK = '/home/u/project';

export interface Session {
  readonly engine: RuleEngine;
  readonly judge: (action: Action, given?: Given) => Verdict;
  /** Milliseconds pass. */
  readonly wait: (milliseconds: number) => void;
}

export interface Given {
  readonly actor?: Partial<Actor>;
  readonly call?: string;
}

export function session(scope: Scope = defaultScope(), options: Partial<RuleEngineOptions> = {}): Session {
  const engine = ruleEngine(scope, { workspace: WORK, home: HOME, tmp: [], platform: 'linux', real: (path) => path, ...options });
  let seq = 0;
  let at = 1_700_000_000_000;
  return {
    engine,
    judge: (action, given = {}) => engine.judge(activity(action, { ...given, seq: ++seq, at })),
    wait: (milliseconds) => {
      at += milliseconds;
    },
  };
}

export function activity(action: Action, { actor, call, seq, at }: Given & { readonly seq: number; readonly at: number }): Activity {
  return {
    seq,
    at,
    sensor: 'test',
    phase: 'after',
    actor: { pid: 100, start: 1, parent: 50, exe: '/usr/bin/node', argv: ['node', 'agent.js'], cwd: WORK, ...actor },
    action,
    attribution: call === undefined ? { method: 'none' } : { method: 'scope', call },
  };
}

export const read = (path: string, resolved?: string): Action => ({ kind: 'read', path, ...(resolved !== undefined && { resolved }) });
export const write = (path: string, existed?: boolean): Action => ({ kind: 'write', path, ...(existed !== undefined && { existed }) });
export const remove = (path: string, existed?: boolean): Action => ({ kind: 'delete', path, ...(existed !== undefined && { existed }) });
export const connect = (host: string | undefined, address?: string, port = 443): Action => ({
  kind: 'connect',
  protocol: 'tcp',
  port,
  ...(host !== undefined && { host }),
  ...(address !== undefined && { address }),
});

/** `exec('/usr/bin/rm', '-rf', 'x')`; the name it goes by is the base name. */
export function exec(exe: string, ...args: readonly string[]): Action {
  return {
    kind: 'exec',
    exe: exe.startsWith('/') ? exe : `/usr/bin/${exe}`,
    argv: [exe.slice(exe.lastIndexOf('/') + 1), ...args],
    cwd: WORK,
  };
}

export function told(verdict: Verdict): string {
  return verdict.level === 'SAFE' ? 'SAFE' : `${verdict.level} ${verdict.rule}`;
}

export function scopeOf(text: string, env: NodeJS.ProcessEnv = {}): Scope {
  return loadScope({ text, name: 'scope.yaml' }, { env });
}
