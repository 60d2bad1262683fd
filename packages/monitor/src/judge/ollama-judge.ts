/**
 * A local model that looks at what rules leave ambiguous, asked over the chat API of Ollama:
 *
 *     POST /api/chat { "model": "qwen3:4b", "messages": [...], "stream": false, "think": false, "format": { JSON schema }, "options": ... }
 *     200 { "message": { "role": "assistant", "content": "{\"reason\":...}" }, "done": true, "done_reason": "stop" }
 *
 * It judges, it does not decide: whatever goes wrong leaves the FLAG as it was, and it cannot kill unless that is configured.
 *
 * @see https://github.com/ollama/ollama/blob/main/docs/api.md
 */
import { setTimeout as pause } from 'node:timers/promises';
import { CountersignError, createRedactor, type Redactor } from '@countersign/core';
import { LEVELS, type Level, type Verdict } from '../verdict.ts';
import { type Answer, answerIn, answerSchema, verdictFrom } from './answer.ts';
import { askFor, serverUrl, Unanswered } from './exchange.ts';
import { type JudgeInput, type Question, questionOf } from './question.ts';
import { Turns } from './turns.ts';

export interface OllamaJudgeOptions {
  /** Base of the API; default `http://127.0.0.1:11434`. The only place that is ever asked. */
  readonly url?: string;
  /** Default `qwen3:4b`. */
  readonly model?: string;
  /** Milliseconds for one try, loading the model included: 100 to 600000; default 30000. */
  readonly timeoutMs?: number;
  /** Tries after the first, where another may help (no connection, 429, 5xx): 0 to 5; default 1. */
  readonly retries?: number;
  /** The most it may say; default `HALT`. */
  readonly maxLevel?: 'FLAG' | 'HALT' | 'KILL';
  /** Passed on as `think`; default false. `omit` leaves it out, for servers that know no such member. */
  readonly think?: boolean | 'omit';
  /** Questions at once: 1 to 16; default 2. */
  readonly atOnce?: number;
  /** Questions that may wait: 0 to 1000; default 32. What comes beyond stays a FLAG. */
  readonly mayWait?: number;
  readonly redactor?: Redactor;
}

export interface JudgeStats {
  readonly asked: number;
  /** Answered from what was answered before. */
  readonly remembered: number;
  /** No answer, or none that could be used: the FLAG stood. */
  readonly failed: number;
}

export interface OllamaJudge {
  /** What the operator should be told before it is used. */
  readonly warnings: readonly string[];
  /** The server answers and has the model. Never rejects. */
  available(): Promise<boolean>;
  /** The same; else why not, for people. */
  check(): Promise<{ readonly ok: true } | { readonly ok: false; readonly why: string }>;
  /** Never rejects. Anything but an ambiguous FLAG comes back as it is, without a question. */
  judge(input: JudgeInput): Promise<Verdict>;
  stats(): JudgeStats;
  /** Gives up what is asked now; from here on every FLAG stands. */
  close(): void;
}

export const DEFAULT_JUDGE_URL = 'http://127.0.0.1:11434';
export const DEFAULT_JUDGE_MODEL = 'qwen3:4b';
export const MAX_REMEMBERED_ANSWERS = 1_000;
/** Room for the whole question: Ollama's own default is less, and it would cut our instructions off. */
const CONTEXT_TOKENS = 8_192;
const ANSWER_TOKENS = 300;
/** Thoughts count as well. */
const THOUGHT_TOKENS = 2_000;
const CHECK_TIMEOUT_MS = 5_000;
const RETRY_AFTER_MS = 250;
const MODEL_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$/u;

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function ollamaJudge(options: OllamaJudgeOptions = {}): OllamaJudge {
  return new ModelJudge(options);
}

class ModelJudge implements OllamaJudge {
  readonly warnings: readonly string[];
  readonly #base: URL;
  readonly #model: string;
  readonly #timeoutMs: number;
  readonly #retries: number;
  readonly #levels: readonly Level[];
  readonly #think: boolean | 'omit';
  readonly #turns: Turns;
  readonly #redactor: Redactor;
  readonly #closed = new AbortController();
  /** By question, oldest first. */
  readonly #answers = new Map<string, Answer>();
  readonly #open = new Map<string, Promise<Answer | undefined>>();
  #stats = { asked: 0, remembered: 0, failed: 0 };

  constructor(options: OllamaJudgeOptions) {
    const { url = DEFAULT_JUDGE_URL, model = DEFAULT_JUDGE_MODEL, maxLevel = 'HALT', think = false, redactor } = options;
    const { base, warning } = serverUrl(url);
    if (typeof model !== 'string' || !MODEL_SHAPE.test(model)) throw invalid('model must be a name such as qwen3:4b');
    if (!['FLAG', 'HALT', 'KILL'].includes(maxLevel)) throw invalid('maxLevel must be FLAG, HALT or KILL');
    if (think !== 'omit' && typeof think !== 'boolean') throw invalid("think must be true, false or 'omit'");
    this.warnings = warning === undefined ? [] : [warning];
    this.#base = base;
    this.#model = model;
    this.#timeoutMs = whole('timeoutMs', options.timeoutMs ?? 30_000, 100, 600_000);
    this.#retries = whole('retries', options.retries ?? 1, 0, 5);
    this.#levels = LEVELS.slice(0, LEVELS.indexOf(maxLevel) + 1);
    this.#think = think;
    this.#turns = new Turns(whole('atOnce', options.atOnce ?? 2, 1, 16), whole('mayWait', options.mayWait ?? 32, 0, 1_000));
    this.#redactor = redactor ?? createRedactor();
  }

  async available(): Promise<boolean> {
    return (await this.check()).ok;
  }

  async check(): Promise<{ readonly ok: true } | { readonly ok: false; readonly why: string }> {
    try {
      const tags = await askFor(this.#base, '/api/tags', undefined, this.#within(Math.min(this.#timeoutMs, CHECK_TIMEOUT_MS)));
      if (modelNames(tags).includes(this.#model.includes(':') ? this.#model : `${this.#model}:latest`)) return { ok: true };
      return { ok: false, why: `the judge has no model ${this.#model}: run \`ollama pull ${this.#model}\`` };
    } catch (error) {
      return { ok: false, why: `the judge ${whyOf(error)}` };
    }
  }

  async judge(input: JudgeInput): Promise<Verdict> {
    const { verdict } = input;
    if (verdict.level !== 'FLAG' || verdict.ambiguous !== true) return verdict;
    try {
      const answer = await this.#answer(questionOf(input, this.#model, this.#levels, this.#redactor));
      if (answer === undefined) throw new Unanswered('has too many questions waiting');
      return verdictFrom(answer, verdict, this.#redactor);
    } catch (error) {
      this.#stats.failed++;
      return { ...verdict, reason: `${verdict.reason}; the judge ${whyOf(error)}` };
    }
  }

  stats(): JudgeStats {
    return { ...this.#stats };
  }

  close(): void {
    this.#closed.abort();
  }

  async #answer(question: Question): Promise<Answer | undefined> {
    const known = this.#answers.get(question.key);
    const open = this.#open.get(question.key);
    if (known !== undefined || open !== undefined) {
      this.#stats.remembered++;
      return known ?? open;
    }
    const asked = this.#turns.run(() => this.#ask(question));
    this.#open.set(question.key, asked);
    try {
      const answer = await asked;
      if (answer !== undefined) this.#remember(question.key, answer);
      return answer;
    } finally {
      this.#open.delete(question.key);
    }
  }

  #remember(key: string, answer: Answer): void {
    this.#answers.set(key, answer);
    const oldest = this.#answers.keys().next().value;
    if (this.#answers.size > MAX_REMEMBERED_ANSWERS && oldest !== undefined) this.#answers.delete(oldest);
  }

  async #ask({ messages }: Question): Promise<Answer> {
    this.#stats.asked++;
    const body = {
      model: this.#model,
      messages,
      stream: false,
      ...(this.#think !== 'omit' && { think: this.#think }),
      format: answerSchema(this.#levels),
      options: {
        temperature: 0,
        seed: 0,
        num_ctx: CONTEXT_TOKENS,
        num_predict: ANSWER_TOKENS + (this.#think === true ? THOUGHT_TOKENS : 0),
      },
    };
    for (let tried = 0; ; tried++) {
      try {
        return answerIn(await askFor(this.#base, '/api/chat', body, this.#within(this.#timeoutMs)), this.#levels);
      } catch (error) {
        if (!(error instanceof Unanswered && error.again) || tried >= this.#retries) throw error;
        await pause(RETRY_AFTER_MS, undefined, { signal: this.#closed.signal, ref: false });
      }
    }
  }

  #within(ms: number): AbortSignal {
    return AbortSignal.any([AbortSignal.timeout(ms), this.#closed.signal]);
  }
}

function whyOf(error: unknown): string {
  return error instanceof Unanswered ? error.message : 'could not be asked';
}

/** Names of an untrusted list; what has another shape is left out. */
function modelNames(tags: unknown): readonly string[] {
  const models: unknown = typeof tags === 'object' && tags !== null && 'models' in tags ? tags.models : [];
  if (!Array.isArray(models)) return [];
  return models.flatMap((each: unknown) =>
    typeof each === 'object' && each !== null && 'name' in each && typeof each.name === 'string' ? [each.name] : [],
  );
}

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalid(`${name} must be an integer from ${least} to ${most}`);
}

function invalid(what: string): CountersignError {
  return new CountersignError('OPTIONS_INVALID', `the judge: ${what}`);
}
