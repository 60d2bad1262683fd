/** Answers that were posted: from the form to `approvals.resolve` and `approvals.revoke`, and to the page that tells what became of it. */
import { type ApprovalAnswer, CountersignError, haltQuestion } from '@countersign/core';
import type { ApprovalView } from '@countersign/core/sqlite';
import { AnswerError, type ReadAnswer, readAnswer } from './answer-form.ts';
import { type Detail, detailPage, notFoundPage, seenOf } from './detail-view.ts';
import { redirect } from './gate.ts';
import { grantsPage } from './grants-view.ts';
import type { ApprovalPageOptions } from './page-options.ts';
import { reading } from './source.ts';

/** Posted under an approval. */
export async function answer(request: Request, id: string, options: ApprovalPageOptions): Promise<Response> {
  const { source, approvals, approver, onError = () => {}, onEvent = () => {} } = options;
  const form = new URLSearchParams(await request.text());
  const row = reading(source, (reader) => reader.approval(id));
  const frame = { approver, version: source.version() };
  if (row === undefined) return notFoundPage(frame);
  let given: ReadAnswer | undefined;
  try {
    given = readAnswer(form);
    if (given.kind === 'show') return detailPage(row, { typed: given.typed }, frame);
    if (given.kind === 'revoke') {
      await approvals.revoke(id, { id: approver, method: 'page' }, given.message === undefined ? {} : { message: given.message });
      onEvent({ kind: 'answer', id, decision: 'revoke' });
      return redirect(`/approvals/${id}?done=revoked`);
    }
    checkAnswerable(row, given);
    const resolved = await approvals.resolve(id, given.answer, { id: approver, method: 'page' });
    onEvent({ kind: 'answer', id, decision: isGrant(given.answer) ? 'grant' : given.answer.decision });
    return redirect(`/approvals/${id}?done=${isHalt(row) ? HALT_DONE[given.answer.decision] : doneWord(given.answer, resolved.state)}`);
  } catch (error) {
    const known = problemOf(error);
    if (known === undefined) onError(error);
    const problem = known ?? UNRECORDED;
    // Read again: what was wrong may be that it changed.
    const now = reading(source, (reader) => reader.approval(id)) ?? row;
    return detailPage(now, { problem, typed: given?.typed ?? typedIn(form) }, frame);
  }
}

/** For the form that is shown again; nothing of it was taken. */
function typedIn(form: URLSearchParams): NonNullable<Detail['typed']> {
  const field = (name: string): string => form.get(name) ?? '';
  const grant = { minutes: field('minutes'), uses: field('uses'), scope: field('scope'), reason: field('reason'), when: field('when') };
  return { message: field('message'), ...(form.has('args') && { args: field('args') }), ...(field('do') === 'grant' && { grant }) };
}

/** The person read what the page showed: it must still be what the ledger says. */
function checkAnswerable(row: ApprovalView, { answer: { decision }, seen }: Extract<ReadAnswer, { readonly kind: 'answer' }>): void {
  if (row.state !== 'pending') throw new CountersignError('APPROVAL_NOT_PENDING', `this approval is ${row.state} already`);
  // A no needs no reading.
  if (decision === 'deny') return;
  if (row.mismatches.length > 0)
    throw new CountersignError('LEDGER_CORRUPT', `the stored approval does not agree with its ledger entry: ${row.mismatches.join(', ')}`);
  if (row.shown === undefined)
    throw new CountersignError('APPROVER_REFUSED', 'the arguments are not in the ledger any more: nobody can know what would run');
  if (seen !== seenOf(row)) throw new AnswerError(409, 'This approval changed since you opened it. Look at it again, then answer.');
}

/** As the buttons are called there. */
const HALT_DONE = { approve: 'resumed', edit: 'refused', deny: 'killed' } as const;

function isHalt({ tool, shown }: ApprovalView): boolean {
  return shown !== undefined && haltQuestion({ tool, args: shown }) !== undefined;
}

function isGrant(answer: ApprovalAnswer): boolean {
  return answer.decision === 'approve' && answer.grant !== undefined;
}

/** Posted under a grant. */
export async function revokeGrant(request: Request, id: string, options: ApprovalPageOptions): Promise<Response> {
  const { source, approvals, approver, onError = () => {}, onEvent = () => {} } = options;
  const frame = { approver, version: source.version() };
  try {
    if (new URLSearchParams(await request.text()).get('do') !== 'revoke')
      throw new AnswerError(400, 'This form has no such button. Load the page again.');
    // An approval by the same id is no grant: its page is the place to take it back.
    const known = await approvals.grants();
    if (!known.some((grant) => grant.id === id)) throw new AnswerError(404, 'No grant of this ledger has that id.');
    await approvals.revoke(id, { id: approver, method: 'page' });
    onEvent({ kind: 'answer', id, decision: 'revoke' });
    return redirect('/grants?done=revoked');
  } catch (error) {
    const known = problemOf(error);
    if (known === undefined) onError(error);
    return grantsPage(await approvals.grants(), { problem: known ?? UNRECORDED }, frame);
  }
}

const UNRECORDED = { status: 500, text: 'This could not be recorded. The terminal of countersign console says why.' };

function doneWord(answer: ApprovalAnswer, state: string): string {
  const { decision } = answer;
  if (isGrant(answer)) return 'granted';
  if (decision !== 'approve') return decision === 'deny' ? 'denied' : 'edited';
  return state === 'pending' ? 'counted' : 'approved';
}

const STATUS: ReadonlyMap<string, number> = new Map([
  ['APPROVAL_NOT_FOUND', 404],
  ['APPROVAL_NOT_PENDING', 409],
  ['APPROVER_REFUSED', 403],
  ['APPROVAL_EDIT_INVALID', 400],
  ['GRANT_REFUSED', 400],
  ['OPTIONS_INVALID', 400],
  ['CONDITION_INVALID', 400],
  ['LEDGER_CORRUPT', 409],
]);

const NEXT_STEP: ReadonlyMap<string, string> = new Map([
  [
    'APPROVER_REFUSED',
    'Who has a key answers with it: countersign approvals approve ID --key FILE --as NAME. Another name for this page: countersign console --as NAME.',
  ],
  ['LEDGER_CORRUPT', 'Do not approve it. Keep the file as evidence and run countersign verify.'],
]);

/** Undefined for what is our own fault: no details of that go into a page. */
function problemOf(error: unknown): Detail['problem'] {
  if (error instanceof AnswerError) return { status: error.status, text: error.message };
  if (!CountersignError.is(error)) return undefined;
  const next = NEXT_STEP.get(error.code);
  return { status: STATUS.get(error.code) ?? 503, text: `${error.message} [${error.code}]`, ...(next !== undefined && { next }) };
}
