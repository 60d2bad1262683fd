/** A configuration, worked out: defaults filled in, paths absolute, rules compiled. */
import type { FileAuditOptions } from '../audit-log/file-sink.ts';
import type { Budget } from '../budget/budget.ts';
import type { Mode } from '../call.ts';
import type { Policy } from '../policy/policy.ts';
import type { RuleSet } from '../policy/rule-definition.ts';
import type { WriterChoice } from '../store.ts';
import type { ScopeDocument } from './schema.ts';

export interface Config {
  /** The file it came from. */
  readonly path?: string;
  readonly agent: string;
  readonly mode: Mode;
  readonly policy: Policy;
  /** What `policy` was compiled from: the file's rules with the default time to live filled in. */
  readonly policyDefinition: RuleSet;
  readonly budgets: readonly Budget[];
  readonly approvals: { readonly channels: readonly string[]; readonly ttlMs: number; readonly maxTtlMs: number };
  /** Names of approvers to verifier lines. */
  readonly approvers: ReadonlyMap<string, string>;
  /** On top of the built-in detectors. */
  readonly redaction: { readonly keys: readonly string[]; readonly values: readonly string[] };
  readonly ledger: LedgerConfig;
  readonly scope?: ScopeDocument;
}

/** Where checkpoints are copied. */
export type AnchorConfig = { readonly file: string } | { readonly command: readonly string[] } | { readonly witness: WitnessConfig };

/** A C2SP witness, which somebody who may open sockets asks: `@countersign/connect`. */
export interface WitnessConfig {
  readonly url: string;
  readonly vkey: string;
  readonly allowInsecure?: boolean;
}

/** Paths are absolute. */
export interface LedgerConfig {
  readonly path: string;
  /** Absent with `sign: none`. */
  readonly key?: string;
  readonly origin: string;
  readonly sign: 'commit' | 'none' | 'interval';
  /** With `sign: interval`. */
  readonly signEveryMs?: number;
  readonly signMaxLagMs?: number;
  readonly writer: WriterChoice;
  readonly anchors: readonly AnchorConfig[];
  readonly anchorEveryMs?: number;
  readonly anchorRequired?: { readonly count: number; readonly maxAgeMs: number };
  readonly auditLog?: FileAuditOptions;
  /** A file that follows the ledger as JSON lines. */
  readonly mirror?: string;
}

/** The environment: `process.env`, or what a test makes of it. */
export type Environment = Readonly<Record<string, string | undefined>>;
