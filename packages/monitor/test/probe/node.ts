/** Runs programs in a Node of their own, from source. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const SOURCE = '--conditions=@countersign/source';

export function program(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}`, import.meta.url));
}

/** Ends with the test. */
export async function runNode(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  command: string = process.execPath,
): Promise<Ran> {
  const { NODE_OPTIONS: _, ...rest } = env;
  const child = spawn(command, args, { env: env === process.env ? rest : env, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const code = await new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject));
  return { code, stdout, stderr };
}

/** The JSON of the last line. */
export function lastJson<T>({ code, stdout, stderr }: Ran): T {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T;
  } catch (cause) {
    throw new Error(`exit ${code}\n${stdout}\n${stderr}`, { cause });
  }
}
