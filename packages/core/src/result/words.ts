/** What a model reads in place of a result, or at the end of what is left of one: what happened, by which rule, and what to do. */
import type { ResultVerdict } from '../call.ts';

/** In place of a result. */
export function withheldText({ rule, reasonCode, message }: ResultVerdict): string {
  const by = rule === undefined ? 'a rule on results' : `rule ${rule}`;
  const why = WHYS.get(reasonCode ?? '')?.(by) ?? `${by} does not let it through`;
  return told(why, reasonCode ?? 'RESULT_WITHHELD', message);
}

const WHYS: ReadonlyMap<string, (rule: string) => string> = new Map([
  ['POLICY_EVALUATION_FAILED', (rule: string) => `${rule} could not be evaluated on it`],
  ['REDACTION_FAILED', (rule: string) => `it could not be read to apply ${rule}`],
  ['RESULT_SCHEMA_MISMATCH', () => 'it is not what the outputSchema of the tool declares'],
  ['RESULT_NOT_CHECKED', () => 'it could not be checked against the outputSchema of the tool'],
  ['LEDGER_WRITE_FAILED_OUTCOME', () => 'what became of the call could not be recorded'],
]);

function told(why: string, code: string, message: string | undefined): string {
  const more = message === undefined ? '' : ` ${message.trim()}`;
  return `[result withheld: ${why} [${code}]. The tool did run: do not call it again to see the result; tell the user, or go on without it.${more}]`;
}

/** @param left - characters that are left out. */
export function cutNotice(left: number, of: number, { rule, message }: ResultVerdict): string {
  const by = rule === undefined ? '' : ` by rule ${rule}`;
  const more = message === undefined ? '' : ` ${message.trim()}`;
  const what = left === 0 ? 'only its text is left' : `${left} of ${of} characters are left out`;
  return `\n[result cut${by}: ${what}.${more}]`;
}
