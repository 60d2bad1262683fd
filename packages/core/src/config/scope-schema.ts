/** The `scope:` block: what the process tree of the agent may do. The predecessor's nested file has the same four parts. */
import * as z from 'zod';

/** The block as written. What each key means is told in `docs/config.md`. */
export interface ScopeDocument {
  readonly filesystem?:
    | {
        readonly allowed_paths?: readonly string[] | undefined;
        readonly forbidden_paths?: readonly string[] | undefined;
        readonly forbidden_writes?: readonly string[] | undefined;
        readonly forbidden_extensions?: readonly string[] | undefined;
        readonly agent_files?: readonly string[] | undefined;
      }
    | undefined;
  readonly network?:
    | {
        readonly allowed_domains?: readonly string[] | undefined;
        readonly forbidden_domains?: readonly string[] | undefined;
        readonly allowed_ports?: readonly number[] | undefined;
      }
    | undefined;
  readonly process?:
    | { readonly allowed_commands?: readonly string[] | undefined; readonly forbidden_commands?: readonly string[] | undefined }
    | undefined;
  readonly behavior?: BehaviorDocument | undefined;
}

export interface BehaviorDocument {
  readonly mode?: (typeof SCOPE_MODES)[number] | undefined;
  readonly flag_threshold?: number | undefined;
  /** Seconds. */
  readonly flag_window?: number | undefined;
  readonly flag_kill?: boolean | undefined;
  readonly halt_threshold?: number | undefined;
  readonly max_actions_per_minute?: number | undefined;
  readonly max_deletions?: number | undefined;
  readonly max_deletion_folders?: number | undefined;
  readonly max_connections_per_minute?: number | undefined;
  readonly max_spawns?: number | undefined;
  readonly max_processes?: number | undefined;
  readonly max_memory_mb?: number | undefined;
  readonly max_cpu_percent?: number | undefined;
  readonly max_write_mb_per_minute?: number | undefined;
  /** Seconds. */
  readonly chain_window?: number | undefined;
}

export const SCOPE_MODES = ['audit_only', 'flag_and_hold', 'enforce_kill'] as const;
export const MAX_SCOPE_LIST = 1000;
const MAX_TEXT_CHARS = 4096;
const MAX_COUNT = 1_000_000;

export const scopeText: z.ZodString = z.string().min(1).max(MAX_TEXT_CHARS);
export const scopeTexts: z.ZodArray<z.ZodString> = z.array(scopeText).max(MAX_SCOPE_LIST);
const pattern = scopeText.refine((text) => !/^~[^/]/.test(text), 'whose home that is cannot be told: write the folder out');
export const scopePatterns: z.ZodArray<z.ZodString> = z.array(pattern).max(MAX_SCOPE_LIST);
export const scopePorts: z.ZodArray<z.ZodInt> = z.array(z.int().min(1).max(65_535)).max(MAX_SCOPE_LIST);
export const scopeCount: z.ZodInt = z.int().min(1).max(MAX_COUNT);
export const scopeSeconds: z.ZodNumber = z.number().positive().max(86_400);

export const scopeSchema: z.ZodType<ScopeDocument> = z.strictObject({
  filesystem: z
    .strictObject({
      allowed_paths: scopePatterns.optional().describe('where it may read and write; when absent: read anywhere, write in the workspace'),
      forbidden_paths: scopePatterns.optional().describe('may not be touched at all'),
      forbidden_writes: scopePatterns.optional().describe('may be read, but not written or deleted'),
      forbidden_extensions: scopeTexts.optional().describe('endings of names'),
      agent_files: scopePatterns.optional().describe("the watched agent's own settings, which it writes itself"),
    })
    .optional(),
  network: z
    .strictObject({
      allowed_domains: scopeTexts.optional().describe('with their subdomains; any when absent'),
      forbidden_domains: scopeTexts.optional().describe('with their subdomains'),
      allowed_ports: scopePorts.optional().describe('any when absent'),
    })
    .optional(),
  process: z
    .strictObject({
      allowed_commands: scopeTexts.optional().describe('base names; any when absent'),
      forbidden_commands: scopeTexts.optional().describe('base names, or the beginning of a command line'),
    })
    .optional(),
  behavior: z
    .strictObject({
      mode: z.enum(SCOPE_MODES).optional(),
      flag_threshold: scopeCount.optional().describe('flags within flag_window that halt, or kill with flag_kill'),
      flag_window: scopeSeconds.optional().describe('seconds'),
      flag_kill: z.boolean().optional().describe('flag_threshold kills; false when absent'),
      halt_threshold: scopeCount.optional().describe('flags within flag_window that halt, before flag_threshold'),
      max_actions_per_minute: scopeCount
        .optional()
        .describe('programs, connections, files written, deleted or renamed; no limit when absent'),
      max_deletions: scopeCount.optional().describe('of files that were there before, in 10 seconds; 20 when absent'),
      max_deletion_folders: scopeCount.optional().describe('folders such files were deleted from in a minute; 10 when absent'),
      max_connections_per_minute: scopeCount.optional().describe('50 when absent'),
      max_spawns: scopeCount.optional().describe('processes started in 10 seconds; 3000 when absent'),
      max_processes: scopeCount.optional().describe('at one time; 2000 when absent'),
      max_memory_mb: scopeCount.optional().describe('of the whole tree; 16384 when absent'),
      max_cpu_percent: scopeCount.optional().describe('of one core, over five minutes; 1600 when absent'),
      max_write_mb_per_minute: scopeCount.optional().describe('20480 when absent'),
      chain_window: scopeSeconds
        .optional()
        .describe('seconds after a secret was read in which another process may not connect; 60 when absent'),
    })
    .optional(),
});
