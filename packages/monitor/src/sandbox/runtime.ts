/** What is used of `@anthropic-ai/sandbox-runtime`, an optional peer: its own types are not, so that nothing needs it to be built. */
import type { SrtFiles } from './srt-settings.ts';

export interface SandboxRuntime {
  isSupportedPlatform(): boolean;
  checkDependencies(): { readonly errors: readonly string[]; readonly warnings: readonly string[] };
  /** Once for a process, until `reset`. @param ask - about every host that no list names; nobody else answers */
  initialize(
    config: RuntimeConfig,
    ask: (to: { readonly host: string; readonly port?: number | undefined }) => Promise<boolean>,
  ): Promise<void>;
  /** @returns a command line for a shell */
  wrapWithSandbox(
    command: string,
    shell: string | undefined,
    config: Pick<RuntimeConfig, 'filesystem'>,
    signal: undefined,
    options: { readonly commandId: string },
  ): Promise<string>;
  reset(): Promise<void>;
}

interface Literal {
  readonly path: string;
  readonly literal: true;
}

export interface RuntimeConfig {
  readonly network: { readonly allowedDomains: readonly string[]; readonly deniedDomains: readonly string[] };
  readonly filesystem: Readonly<Record<keyof SrtFiles, readonly Literal[]>>;
  /** Absolute: otherwise the first of that name in a folder of `PATH`, which may be one an agent writes to. */
  readonly bwrapPath?: string;
  readonly socatPath?: string;
  readonly ripgrep?: { readonly command: string };
}

export function filesystemOf(files: SrtFiles): RuntimeConfig['filesystem'] {
  const literal = (paths: readonly string[]): readonly Literal[] => paths.map((path) => ({ path, literal: true }));
  const { denyRead, allowRead, allowWrite, denyWrite } = files;
  return { denyRead: literal(denyRead), allowRead: literal(allowRead), allowWrite: literal(allowWrite), denyWrite: literal(denyWrite) };
}

const PACKAGE: string = '@anthropic-ai/sandbox-runtime';

/** @throws when it is not installed, or is not what it was */
export async function loadRuntime(): Promise<SandboxRuntime> {
  const loaded = (await import(PACKAGE)) as { readonly SandboxManager?: Partial<SandboxRuntime> }; // checked below
  const manager = loaded.SandboxManager;
  for (const name of ['isSupportedPlatform', 'checkDependencies', 'initialize', 'wrapWithSandbox', 'reset'] as const)
    if (typeof manager?.[name] !== 'function') throw new TypeError(`it has no ${name}`);
  return manager as SandboxRuntime;
}
