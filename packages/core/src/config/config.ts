/** A configuration, worked out: defaults filled in, paths absolute, rules compiled. */

import type { FileAuditOptions } from '../audit-log/file-sink.ts';
import type { Budget } from '../budget/budget.ts';
import type { Mode } from '../call.ts';
import type { BundleMember, OpenedBundle } from '../policy/bundle.ts';
import type { Policy } from '../policy/policy.ts';
import type { RootOptions } from '../policy/roots.ts';
import type { RuleSet } from '../policy/rule-definition.ts';
import type { DetectorDefinition } from '../redact/custom.ts';
import type { WriterChoice } from '../store.ts';
import type { ChannelWord } from './channel-schema.ts';
import type { McpConfig } from './mcp-schema.ts';
import type { MonitorConfig } from './monitor-schema.ts';
import type { UsedPack } from './pack-schema.ts';
import type { ScopeDocument } from './scope-schema.ts';
import type { SecretSource } from './secret.ts';
import type { ServerTransport } from './servers-schema.ts';

export interface Config {
  /** Whether who runs for long puts a changed policy in force: `watchPolicy`. */
  readonly reloadsPolicy: boolean;
  /** What `policy` was made from, in full: what `policy sign` signs. Empty when it is a bundle already. */
  readonly policyMembers: readonly BundleMember[];
  /** The signed bundle that `policy` is. */
  readonly bundle?: OpenedBundle;
  /** Files that `policy` was read from besides the configuration itself. Absolute. */
  readonly policyFiles: readonly string[];
  /** Of everything in the file and the environment but the policy: equal as long as no restart is needed. */
  readonly settingsDigest: string;
  /** The file it came from. */
  readonly path?: string;
  readonly agent: string;
  readonly mode: Mode;
  readonly policy: Policy;
  /** The packs among what `policy` is composed of. */
  readonly packs: readonly UsedPack[];
  /** The file's own rules, with the default time to live filled in. */
  readonly policyDefinition: RuleSet;
  readonly budgets: readonly Budget[];
  readonly approvals: ApprovalsConfig;
  /** Names of approvers to verifier lines. */
  readonly approvers: ReadonlyMap<string, string>;
  /** On top of the built-in detectors. */
  readonly redaction: {
    readonly keys: readonly string[];
    readonly values: readonly string[];
    readonly detectors: readonly DetectorDefinition[];
    /** What tools return is masked too. */
    readonly results: boolean;
  };
  readonly ledger: LedgerConfig;
  readonly scope?: ScopeDocument;
  /** How processes are watched. */
  readonly monitor: MonitorConfig;
  /** Absolute. */
  readonly roots: RootOptions;
  /** A decision point that is asked besides `policy`. Asked by whoever may open sockets: `configuredPolicy` of `@countersign/connect`. */
  readonly authzen?: AuthzenConfig;
  /** What `countersign serve` offers. */
  readonly serve: ServeConfig;
  /** How the MCP proxy behaves. */
  readonly mcp: McpConfig;
  /** MCP servers behind one proxy, by the name that rules use, in the order of the file. */
  readonly servers: ReadonlyMap<string, ServerConfig>;
}

/** One MCP server: a program, or a URL. */
export type ServerConfig = CommandServerConfig | UrlServerConfig;

export interface CommandServerConfig {
  readonly command: string;
  readonly args: readonly string[];
  /** Besides the environment of the proxy. */
  readonly env: ReadonlyMap<string, ValueConfig>;
  /** What shuts it in to what `scope` allows. */
  readonly contain: 'off' | 'landlock' | 'srt' | 'auto';
  /** Absolute. */
  readonly cwd?: string;
}

export interface UrlServerConfig {
  readonly url: string;
  readonly headers: ReadonlyMap<string, ValueConfig>;
  /** `auto`: Streamable HTTP, or as it turns out. */
  readonly transport: ServerTransport | 'auto';
  readonly allowInsecure: boolean;
}

/** Text, some of it elsewhere: its parts in order. */
export type ValueConfig = readonly (string | SecretSource)[];

export interface AuthzenConfig {
  readonly url: string;
  readonly id?: string;
  readonly version?: string;
  readonly token?: SecretSource;
  readonly timeoutMs: number;
  readonly allowInsecure?: boolean;
}

export interface ServeConfig {
  /** Of 127.0.0.1. */
  readonly port?: number;
  /** Absolute path of a unix socket. Without a port there is one. */
  readonly socket?: string;
  readonly clients: readonly ServeClientConfig[];
}

export interface ServeClientConfig {
  readonly agent: string;
  /** Any of these is this client. */
  readonly tokens: readonly SecretSource[];
  /** The only sessions it may use, as they stand. Absent: any, each recorded as `agent/name`. */
  readonly sessions?: readonly string[];
}

export interface ApprovalsConfig {
  readonly channels: readonly ChannelConfig[];
  readonly senders: readonly SenderConfig[];
  /** Where `countersign console` listens on 127.0.0.1. */
  readonly page: { readonly port: number };
  readonly ttlMs: number;
  readonly maxTtlMs: number;
  /** No grant may last longer. */
  readonly maxGrantTtlMs: number;
}

/** Where humans are asked. Webhooks and Slack are asked by whoever may open sockets: `@countersign/connect`. */
export type ChannelConfig = ChannelWord | { readonly webhook: WebhookConfig } | { readonly slack: SlackConfig };

/** Approval requests go to this URL. */
export interface WebhookConfig {
  readonly url: string;
  /** Every message is signed with each. */
  readonly secrets: readonly SecretSource[];
  /** Also tell when an approval was settled. */
  readonly settled: boolean;
  readonly allowInsecure?: boolean;
}

export interface SlackConfig {
  /** Id of the channel that messages go to. */
  readonly channel: string;
  /** Of the bot. */
  readonly token: SecretSource;
  /** A click may be signed with any of them. */
  readonly signingSecrets: readonly SecretSource[];
  /** Id of the workspace: clicks from any other are refused. */
  readonly team: string;
  readonly app?: string;
  /** Who may answer, by user id: their name as approver; undefined = recorded as `slack:<team>/<user>`. */
  readonly users: ReadonlyMap<string, string | undefined>;
}

/** Who may send answers as signed webhooks. */
export interface SenderConfig {
  readonly name: string;
  /** A message may be signed with any of them. */
  readonly secrets: readonly SecretSource[];
  /** People it may name; absent = it answers in its own name only. */
  readonly approvers?: readonly string[];
}

/** Where checkpoints are copied. */
export type AnchorConfig =
  | { readonly file: string }
  | { readonly command: readonly string[] }
  | { readonly witness: WitnessConfig }
  | { readonly rfc3161: TimestampConfig };

/** A C2SP witness, which somebody who may open sockets asks: `@countersign/connect`. */
export interface WitnessConfig {
  readonly url: string;
  readonly vkey: string;
  readonly allowInsecure?: boolean;
}

/** An RFC 3161 timestamp authority, which is asked like a witness. */
export interface TimestampConfig {
  readonly url: string;
  /** File of PEM certificates: of the authority, or of who vouches for it. */
  readonly certificates: string;
  /** Dotted object identifier. */
  readonly policy?: string;
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
