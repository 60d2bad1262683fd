/** A made-up home with a secret, a workspace in it, and scripts that run in there under rules of Landlock. */

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { ScopeDocument } from '@countersign/core';
import { onTestFinished } from 'vitest';
import { landlockAbi } from '../../src/kernel/landlock.ts';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';
import { native, nativeMissing } from '../../src/native/native.ts';
import { landlockRules } from '../../src/sandbox/landlock-rules.ts';
import type { Places } from '../../src/sandbox/places.ts';
import type { Prepared } from '../../src/sandbox/sandbox-kind.ts';
import { loadScope } from '../../src/scope/load.ts';

export const kernel: ReturnType<typeof native> = native();
export const abi: number = kernel === undefined ? 0 : landlockAbi(kernel.kernel);
/** Why nothing of Landlock can be tried here. */
export const noLandlock: string | undefined = abi > 0 ? undefined : (nativeMissing() ?? 'the kernel has no landlock');
if (noLandlock !== undefined) console.warn(`SKIPPED: ${noLandlock}`);

export interface MadeUp {
  readonly home: string;
  readonly workspace: string;
  readonly tmp: string;
  readonly secret: string;
}

/** Not below a folder for temporary files: that would be granted. */
export function madeUp(): MadeUp {
  const base = realpathSync(mkdtempSync('/var/tmp/countersign-contain-'));
  onTestFinished(() => rmSync(base, { recursive: true, force: true }));
  const home = join(base, 'home');
  const workspace = join(home, 'work');
  const tmp = join(base, 'tmp');
  for (const folder of [join(home, '.ssh'), workspace, tmp]) mkdirSync(folder, { recursive: true });
  const secret = join(home, '.ssh/id_ed25519');
  writeFileSync(secret, 'SECRET');
  return { home, workspace, tmp, secret };
}

export function placesOf({ home, workspace, tmp }: MadeUp, more: Partial<Places> = {}): Places {
  return { home, workspace, tmp: [tmp], program: process.execPath, path: ['/usr/bin', '/bin'], own: [], isRoot: false, ...more };
}

export interface Ran {
  readonly code: number | undefined;
  readonly out: string;
  readonly error: string;
}

/** Runs `script` with Node, in the workspace. Its arguments: home, workspace, tmp, secret, then `args`. */
export async function runConfined(
  script: string,
  world: MadeUp,
  { scope = {}, args = [], confine = true }: { scope?: ScopeDocument; args?: readonly string[]; confine?: boolean } = {},
): Promise<Ran> {
  const { rules } = landlockRules(loadScope({ document: scope }), placesOf(world), abi);
  const agent = await launchThroughShim({
    program: process.execPath,
    args: ['--no-warnings', '-e', script, world.home, world.workspace, world.tmp, world.secret, ...args],
    cwd: world.workspace,
    env: { PATH: '/usr/bin:/bin', HOME: world.home },
    stdio: 'pipe',
    ...(confine && { landlock: rules }),
  });
  const { stdout, stderr } = agent.child;
  if (stdout === null || stderr === null) throw new Error('no pipes');
  const both = Promise.all([text(stdout), text(stderr)]);
  agent.go();
  const [out, error] = await both;
  const { code } = await agent.ended;
  return { code, out, error };
}

/** Starts what was prepared, as whoever has no launch shim does, and waits for its end. */
export async function runPrepared({ program, args, cwd, env }: Prepared, input = ''): Promise<Ran> {
  const child = spawn(program, args, { cwd, env, stdio: 'pipe' });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.end(input);
  const ended = new Promise<number | undefined>((done) => child.once('close', (code) => done(code ?? undefined)));
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, error };
}
