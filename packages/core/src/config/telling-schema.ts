/** The blocks `monitor.judge:` and `monitor.alerts:`: who may look at what rules leave open, and who is told of halts and kills. */
import * as z from 'zod';
import type { Look, Problem } from './document.ts';
import { DURATION_HINT, parseDuration } from './duration.ts';
import { placedSecrets, type SecretSource, type SecretsDocument, secretsSchema } from './secret.ts';

export const JUDGE_LEVELS = ['flag', 'halt', 'kill'] as const;
export const ALERT_LEVELS = ['flag', 'halt', 'kill'] as const;

const DEFAULT_JUDGE_MODEL = 'qwen3:4b';
const DEFAULT_JUDGE_TIMEOUT_MS = 30_000;
const MIN_JUDGE_TIMEOUT_MS = 100;
const MAX_JUDGE_TIMEOUT_MS = 600_000;
const MAX_RETRIES = 5;
const MAX_COMMAND_WORDS = 64;
const MAX_WEBHOOKS = 8;

export interface JudgeDocument {
  readonly url?: string | undefined;
  readonly model?: string | undefined;
  readonly timeout?: string | undefined;
  readonly retries?: number | undefined;
  readonly max_level?: (typeof JUDGE_LEVELS)[number] | undefined;
  readonly think?: boolean | undefined;
}

/** A local model, asked over the chat API of Ollama. */
export interface JudgeConfig {
  /** Absent: http://127.0.0.1:11434. */
  readonly url?: string;
  readonly model: string;
  readonly timeoutMs: number;
  readonly retries?: number;
  /** The most it may say. */
  readonly maxLevel: 'FLAG' | 'HALT' | 'KILL';
  readonly think?: boolean;
}

export interface AlertWebhookDocument {
  readonly url: string;
  readonly secret: SecretsDocument;
  readonly allow_insecure?: boolean | undefined;
}

export interface AlertsDocument {
  readonly levels?: readonly (typeof ALERT_LEVELS)[number][] | undefined;
  readonly command?: readonly string[] | undefined;
  readonly webhooks?: readonly AlertWebhookDocument[] | undefined;
}

export interface AlertsConfig {
  readonly levels: readonly ('FLAG' | 'HALT' | 'KILL')[];
  /** Program and arguments; title and text are added. */
  readonly command?: readonly string[];
  readonly webhooks: readonly AlertWebhookConfig[];
}

export interface AlertWebhookConfig {
  readonly url: string;
  readonly secrets: readonly SecretSource[];
  readonly allowInsecure?: boolean;
}

export const judgeSchema: z.ZodType<JudgeDocument> = z
  .strictObject({
    url: z
      .string()
      .min(1)
      .max(2048)
      .optional()
      .describe('base of the API, the only place that is asked; http://127.0.0.1:11434 when absent'),
    model: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$/, 'a name such as qwen3:4b')
      .optional()
      .describe(`${DEFAULT_JUDGE_MODEL} when absent`),
    timeout: z.string().optional().describe('for one try, loading the model included: a duration from 100ms to 10m; 30s when absent'),
    retries: z.int().min(0).max(MAX_RETRIES).optional().describe('tries after the first, where another may help; 1 when absent'),
    max_level: z.enum(JUDGE_LEVELS).optional().describe('the most it may say; halt when absent'),
    think: z.boolean().optional().describe('lets the model think first, where it can: slower; false when absent'),
  })
  .describe('a local model that looks at what rules leave open, over the chat API of Ollama; none when absent');

const webhook = z.strictObject({
  url: z.string().min(1).max(2048).describe('https; http to loopback. No credentials and no query: it is no place for secrets'),
  secret: secretsSchema,
  allow_insecure: z.boolean().optional().describe('plain http to other hosts'),
});

export const alertsSchema: z.ZodType<AlertsDocument> = z
  .strictObject({
    levels: z
      .array(z.enum(ALERT_LEVELS))
      .max(ALERT_LEVELS.length)
      .optional()
      .describe('of verdicts that are told; halt and kill when absent'),
    command: z
      .array(z.string().min(1).max(4096))
      .min(1)
      .max(MAX_COMMAND_WORDS)
      .optional()
      .describe('program and arguments, such as notify-send; title and text are added. No shell'),
    webhooks: z.array(webhook).max(MAX_WEBHOOKS).optional().describe('signed HTTP requests (standardwebhooks.com)'),
  })
  .describe('who is told of halts and kills, besides whoever looks at the terminal');

export function workOutJudge({ url, model, timeout, retries, max_level: maxLevel = 'halt', think }: JudgeDocument): JudgeConfig {
  return {
    ...(url !== undefined && { url }),
    model: model ?? DEFAULT_JUDGE_MODEL,
    timeoutMs: (timeout === undefined ? undefined : parseDuration(timeout)) ?? DEFAULT_JUDGE_TIMEOUT_MS,
    ...(retries !== undefined && { retries }),
    maxLevel: LEVELS[maxLevel],
    ...(think !== undefined && { think }),
  };
}

const LEVELS = { flag: 'FLAG', halt: 'HALT', kill: 'KILL' } as const;

/** @param place - makes a path of the file absolute. */
export function workOutAlerts(
  { levels = ['halt', 'kill'], command, webhooks = [] }: AlertsDocument,
  place: (name: string) => string,
): AlertsConfig {
  return {
    levels: levels.map((level) => LEVELS[level]),
    ...(command !== undefined && { command }),
    webhooks: webhooks.map(({ url, secret, allow_insecure: allowInsecure }) => ({
      url,
      secrets: placedSecrets(secret, place),
      ...(allowInsecure !== undefined && { allowInsecure }),
    })),
  };
}

export function judgeProblems({ timeout }: JudgeDocument, look: Look): readonly Problem[] {
  if (timeout === undefined) return [];
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === undefined) return [look(['monitor', 'judge', 'timeout'], DURATION_HINT)];
  const isGood = timeoutMs >= MIN_JUDGE_TIMEOUT_MS && timeoutMs <= MAX_JUDGE_TIMEOUT_MS;
  return isGood ? [] : [look(['monitor', 'judge', 'timeout'], 'must be from 100ms to 10m')];
}
