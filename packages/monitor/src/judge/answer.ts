/** What a judge said. Its words are a model's that may have been talked into them: nothing is taken that has another shape. */
import { clip, escapeForTerminal, type Redactor, strictJson } from '@countersign/core';
import { LEVELS, type Level, type Verdict } from '../verdict.ts';
import { Unanswered } from './exchange.ts';

export interface Answer {
  readonly level: Level;
  readonly reason: string;
  readonly confidence: number;
}

export const MAX_REASON_CHARS = 300;
/** More than this is no sentence. */
const MAX_CONTENT_CHARS = 8_192;
const MAX_RAW_REASON_CHARS = 2_000;
/** A judge that is less sure than this lets nothing off. */
export const CLEARING_CONFIDENCE = 0.7;

/** JSON schema of an answer. The reason comes first: a model that has to give one judges better than one that defends its word. */
export function answerSchema(levels: readonly Level[]): object {
  return {
    type: 'object',
    properties: {
      reason: { type: 'string', maxLength: MAX_REASON_CHARS },
      level: { type: 'string', enum: levels },
      confidence: { type: 'number', minimum: 0, maximum: 1 },
    },
    required: ['reason', 'level', 'confidence'],
    additionalProperties: false,
  };
}

/** @param body - of an answered chat request. @param levels - allowed ones, rising. @throws {Unanswered} */
export function answerIn(body: unknown, levels: readonly Level[]): Answer {
  if (!isObject(body) || body['done'] !== true) throw new Unanswered('did not finish its answer');
  const { done_reason: why, message } = body;
  if (why !== undefined && why !== 'stop') throw new Unanswered('did not finish its answer');
  if (!isObject(message) || message['role'] !== 'assistant' || typeof message['content'] !== 'string')
    throw new Unanswered('answered with no message');
  const content = message['content'];
  if (content.length > MAX_CONTENT_CHARS) throw new Unanswered('answered at too great a length');
  const parsed = strictJson(Buffer.from(content))?.value;
  if (!isObject(parsed)) throw new Unanswered('did not answer in JSON');
  const { level, reason, confidence } = parsed;
  const known = LEVELS.find((each) => each === level);
  if (known === undefined || typeof reason !== 'string' || !isShare(confidence) || Object.keys(parsed).length !== 3)
    throw new Unanswered('answered in another shape');
  // Asked for at most a HALT, and shouting KILL: it means no less than a HALT.
  return { level: levels.includes(known) ? known : (levels.at(-1) ?? 'FLAG'), reason: reason.slice(0, MAX_RAW_REASON_CHARS), confidence };
}

/** An answer in place of an ambiguous FLAG. */
export function verdictFrom(answer: Answer, asked: Verdict, redactor: Redactor): Verdict {
  const { confidence } = answer;
  const cleared = answer.level === 'SAFE' && confidence < CLEARING_CONFIDENCE;
  const words = clip(escapeForTerminal(redactor.text(answer.reason)), MAX_REASON_CHARS);
  return {
    level: cleared ? 'FLAG' : answer.level,
    rule: asked.rule,
    reason: `${asked.reason}; the judge${cleared ? ', not sure enough to clear it' : ''}: ${words}`,
    evaluator: 'judge',
    confidence,
    evidence: asked.evidence,
  };
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
