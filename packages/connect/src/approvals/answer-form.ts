/** From a posted form to an answer. Whoever posts it is logged in, and still may send anything. */
import { type ApprovalAnswer, canonicalize, type GrantTerms, type Json, strictJson } from '@countersign/core';
import { MAX_EDITED_CHARS, MAX_MESSAGE_CHARS, type Typed, type TypedGrant } from './answer-forms.ts';

/** What the person has to know; `message` is shown as it is. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type ReadAnswer =
  | { readonly kind: 'answer'; readonly answer: ApprovalAnswer; readonly seen: string; readonly typed: Typed }
  /** An approval that was given and not used is taken back. */
  | { readonly kind: 'revoke'; readonly message?: string; readonly typed: Typed }
  /** Nothing is answered yet: show the form again with this in it. */
  | { readonly kind: 'show'; readonly typed: Typed };

/** @throws {AnswerError} */
export function readAnswer(form: URLSearchParams): ReadAnswer {
  const message = one(form, 'message') ?? '';
  // Browsers count line breaks as one character and send two.
  const said = message.replaceAll('\r\n', '\n').trim();
  if (said.length > MAX_MESSAGE_CHARS) throw new AnswerError(400, `The message is longer than ${MAX_MESSAGE_CHARS} characters.`);
  const seen = one(form, 'seen') ?? '';
  const reply = said === '' ? {} : { message: said };
  const args = one(form, 'args');
  const typed = { message: said, ...(args !== undefined && { args }) };
  switch (one(form, 'do') ?? '') {
    case 'approve':
      return { kind: 'answer', answer: { decision: 'approve', ...reply }, seen, typed };
    case 'deny':
      return { kind: 'answer', answer: { decision: 'deny', ...reply }, seen, typed };
    case 'edit':
      return { kind: 'answer', answer: { decision: 'edit', args: editedArguments(args), ...reply }, seen, typed };
    case 'grant': {
      const fields = grantFields(form);
      return {
        kind: 'answer',
        answer: { decision: 'approve', grant: grantTerms(fields), ...reply },
        seen,
        typed: { ...typed, grant: fields },
      };
    }
    case 'revoke':
      return { kind: 'revoke', ...reply, typed };
    case 'review':
      return { kind: 'show', typed: { ...typed, proposed: editedArguments(args) } };
    case 'rework':
      return { kind: 'show', typed };
    default:
      throw new AnswerError(400, 'This form has no such button. Load the page again.');
  }
}

/** @throws {AnswerError} */
function grantFields(form: URLSearchParams): TypedGrant {
  const field = (name: string): string => one(form, name) ?? '';
  return { minutes: field('minutes'), uses: field('uses'), scope: field('scope'), reason: field('reason'), when: field('when') };
}

const MS_PER_MINUTE = 60_000;
const MAX_DIGITS = 6;

/** Limits are core's to check; here the texts become what they stand for. */
function grantTerms({ minutes, uses, scope, reason, when }: TypedGrant): GrantTerms {
  if (reason.trim() === '') throw new AnswerError(400, 'A grant needs a reason, for the record.');
  if (scope !== 'session' && scope !== 'agent')
    throw new AnswerError(400, 'A grant is for this session or for every session of the agent.');
  return {
    ttlMs: whole(minutes, 'The time of a grant') * MS_PER_MINUTE,
    uses: whole(uses, 'The number of calls'),
    scope,
    reason: reason.trim(),
    ...(when.trim() !== '' && { when: when.trim() }),
  };
}

function whole(text: string, what: string): number {
  if (text.length > MAX_DIGITS || !/^[1-9]\d*$/.test(text)) throw new AnswerError(400, `${what} is a whole number from 1.`);
  return Number(text);
}

function one(form: URLSearchParams, name: string): string | undefined {
  const values = form.getAll(name);
  if (values.length > 1) throw new AnswerError(400, 'This form names a field twice. Load the page again.');
  return values[0];
}

function editedArguments(text: string | undefined): Json {
  if (text === undefined || text.trim() === '') throw new AnswerError(400, 'There are no arguments: write them as JSON.');
  if (text.length > MAX_EDITED_CHARS) throw new AnswerError(413, `The arguments are longer than ${MAX_EDITED_CHARS} characters.`);
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AnswerError(400, `The arguments are not JSON: ${error instanceof Error ? error.message : 'they do not parse'}.`);
  }
  try {
    // `1e999` parses to a number that no JSON has; nesting has a bound too.
    canonicalize(value);
  } catch (error) {
    throw new AnswerError(
      400,
      `These arguments cannot be a call's: ${error instanceof Error ? error.message : 'they cannot be written as JSON'}.`,
    );
  }
  if (strictJson(Buffer.from(text), Number.POSITIVE_INFINITY) === undefined)
    throw new AnswerError(400, 'Others could read these arguments differently: a name stands twice, or a number has too many digits.');
  return value;
}
