/**
 * Arguments a person proposes in place of a call's own.
 *
 * The person edits the shown view. What is left as it was shown stands for what it stood for, at its place: an untouched
 * `[redacted:jwt]` is the token again when the edited call is made. Whatever is new is taken as it is written, and may hold
 * neither a secret (it would be recorded) nor a placeholder (it would look like a secret that is there and is not).
 *
 *     shown  {"amount":700,"key":"[redacted:key-name]"}        of the call that was asked about
 *     edit   {"amount":70,"key":"[redacted:key-name]"}         amount is new, key is the secret again
 *     edit   {"amount":700,"note":"[redacted:key-name]"}       refused: nothing is hidden at /note
 */
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../ledger/canonical.ts';
import { captureArguments } from '../redact/arguments.ts';
import { pointerText } from '../redact/pointer.ts';
import type { Redactor } from '../redact/redact.ts';

/** How often one call may be edited before it is refused for good. */
export const MAX_EDITS = 8;

/** Of a secret anywhere in a text; of a value that is not JSON only as the whole text. */
const HIDDEN = /\[redacted:[a-z0-9-]{1,40}\]|^\[(?:bytes|map|set):\d+\]$|^\[regexp\]$|^\[(?:date|url) [^\]]*\]$|^\[too deep\]$/;

/**
 * A private copy of an edit that may be recorded and shown.
 *
 * @param given - from outside; bounded like arguments.
 * @param shown - the shown arguments of the call that is edited.
 * @throws {CountersignError} `APPROVAL_EDIT_INVALID`; the message names the place, never the value.
 */
export function readEdit(given: unknown, shown: Json, redactor: Pick<Redactor, 'redact' | 'text'>): Json {
  let captured: ReturnType<typeof captureArguments>;
  try {
    captured = captureArguments(given, redactor);
  } catch (error) {
    throw invalid(CountersignError.is(error) ? error.message : 'the arguments could not be read');
  }
  const edit = captured.value;
  if (!isJson(edit)) throw invalid('the arguments are not JSON');
  checkSecrets(edit, captured.exact, redactor);
  const fault = misplaced(edit, shown, []);
  if (fault !== undefined) throw invalid(fault);
  if (isSame(edit, shown)) throw invalid('the arguments are those of the call: approve or deny it');
  return edit;
}

/**
 * The arguments an edit stands for.
 *
 * @param raw - what `shown` is the shown view of.
 */
export function editedArguments(edit: Json, shown: Json, raw: unknown): unknown {
  if (isSame(edit, shown)) return raw;
  if (Array.isArray(edit) && Array.isArray(shown) && Array.isArray(raw) && edit.length === shown.length) {
    return edit.map((item: Json, i) => editedArguments(item, shown[i] as Json, raw[i]));
  }
  if (!isObject(edit) || !isObject(shown) || !isPlain(raw)) return edit;
  return Object.fromEntries(
    Object.entries(edit).map(([name, value]) => {
      const before = Object.hasOwn(shown, name) && Object.hasOwn(raw, name);
      return [name, before ? editedArguments(value, shown[name] as Json, raw[name]) : value];
    }),
  );
}

function checkSecrets(edit: Json, exact: string, redactor: Pick<Redactor, 'redact'>): void {
  let redacted: ReturnType<Redactor['redact']>;
  try {
    redacted = redactor.redact(edit);
  } catch {
    // The error may quote what it could not redact.
    throw invalid('the arguments could not be redacted');
  }
  const [finding] = redacted.findings;
  if (finding !== undefined) {
    throw invalid(`the value at ${finding.pointer === '' ? 'the root' : finding.pointer} looks like a secret (${finding.kind})`);
  }
  if (canonicalize(redacted.shown) !== exact) throw invalid('the arguments cannot be shown as they are');
}

/** Where a placeholder stands that is not where it was shown; undefined when none does. */
function misplaced(edit: Json, shown: Json, path: readonly (string | number)[]): string | undefined {
  if (isSame(edit, shown)) return undefined;
  if (Array.isArray(edit) && Array.isArray(shown)) {
    // With items added or taken away it is not known which is which.
    if (edit.length !== shown.length) return holdsHidden(edit) ? moved(path) : undefined;
    return firstOf(edit.map((item: Json, i) => () => misplaced(item, shown[i] as Json, [...path, i])));
  }
  if (!isObject(edit) || !isObject(shown)) return holdsHidden(edit) ? moved(path) : undefined;
  return firstOf(
    Object.entries(edit).map(([name, value]) => () => {
      // What a hidden name stands for cannot be told from its shown form, which may be numbered.
      if (HIDDEN.test(name)) return `the object at ${place(path)} has a hidden name: it can only stay as it is`;
      return Object.hasOwn(shown, name)
        ? misplaced(value, shown[name] as Json, [...path, name])
        : holdsHidden(value)
          ? moved([...path, name])
          : undefined;
    }),
  );
}

function firstOf(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const fault = check();
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function moved(path: readonly (string | number)[]): string {
  return `a placeholder at ${place(path)} is not where it was shown: leave placeholders where they are, or take them out`;
}

function place(path: readonly (string | number)[]): string {
  return path.length === 0 ? 'the root' : pointerText(path);
}

function holdsHidden(value: Json): boolean {
  if (typeof value === 'string') return HIDDEN.test(value);
  if (Array.isArray(value)) return value.some(holdsHidden);
  return isObject(value) && Object.entries(value).some(([name, item]) => HIDDEN.test(name) || holdsHidden(item));
}

function isSame(one: Json, other: Json): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item: Json, i) => isSame(item, other[i] as Json));
  }
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name] as Json, other[name] as Json))
  );
}

function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Captured objects are plain, or one of the built-in types that are shown as a text. */
function isPlain(value: unknown): value is { readonly [key: string]: unknown } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function isJson(value: unknown): value is Json {
  if (value === undefined) return false;
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value !== 'object' || value === null) return true;
  return isPlain(value) && Object.values(value).every(isJson);
}

function invalid(why: string): CountersignError {
  return new CountersignError('APPROVAL_EDIT_INVALID', `the edit is refused: ${why}`);
}
