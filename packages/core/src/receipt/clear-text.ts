/** The clear text in a receipt against what its entry commits to: all of it under its key, or chosen fields. */
import type { Json } from '../call.ts';
import { CountersignError } from '../errors.ts';
import { checkOpening, commitDigests, fieldDigest, sectionPointer } from '../ledger/commitment.ts';
import type { Opening } from '../ledger/entry.ts';
import { commitsOf } from '../verify/openings.ts';
import { printable } from '../verify/shapes.ts';
import { type DisclosedField, type Disclosure, isDisclosure } from './format.ts';
import type { Body, PartName, Tell } from './part.ts';

export interface ClearText {
  /** `none`: the entry commits to nothing. `part`: fields or sections are missing. */
  readonly extent: 'none' | 'withheld' | 'part' | 'all';
  /** Sections shown whole. */
  readonly sections: { readonly [section: string]: Json };
  readonly fields: readonly { readonly pointer: string; readonly value: Json }[];
  /** Fields that exist beside the disclosed ones and are not shown; nothing but their number is known. */
  readonly withheldFields: number;
  /** Sections the entry commits to of which nothing is shown. */
  readonly withheldSections: readonly string[];
}

/** Undefined, after saying so, when something shown is not what the entry commits to. */
export function readClearText(name: PartName, body: Body, opening: Opening | Disclosure | undefined, tell: Tell): ClearText | undefined {
  const commits: Commits = Object.fromEntries(commitsOf(body));
  const committed = Object.keys(commits);
  const rest = (shown: object): readonly string[] => committed.filter((section) => !Object.hasOwn(shown, section));
  if (opening === undefined) {
    const extent = committed.length === 0 ? 'none' : 'withheld';
    return { extent, sections: {}, fields: [], withheldFields: 0, withheldSections: committed };
  }
  if (isDisclosure(opening)) return readDisclosure(name, commits, opening, rest(opening.disclosed), tell);
  const wrong = checkOpening(commits, opening);
  for (const section of wrong) tell.problem(name, 'OPENING_MISMATCH', mismatch(commits, section));
  if (wrong.length > 0) return undefined;
  const withheldSections = rest(opening.sections);
  const extent = committed.length === 0 ? 'none' : withheldSections.length === 0 ? 'all' : 'part';
  return { extent, sections: opening.sections, fields: [], withheldFields: 0, withheldSections };
}

type Commits = { readonly [section: string]: string | undefined };

function readDisclosure(
  name: PartName,
  commits: Commits,
  { disclosed }: Disclosure,
  withheldSections: readonly string[],
  tell: Tell,
): ClearText | undefined {
  const fields: { pointer: string; value: Json }[] = [];
  let withheldFields = 0;
  let isRight = true;
  for (const [section, { fields: shown, withheld }] of Object.entries(disclosed)) {
    const why = objection(section, shown, withheld);
    const isWrong = why !== undefined || !Object.hasOwn(commits, section) || commitOf(shown, withheld) !== commits[section];
    if (isWrong) isRight = false;
    if (why !== undefined) tell.problem(name, 'OPENING_INVALID', `what is disclosed of ${printable(section)} ${why}`);
    else if (isWrong) tell.problem(name, 'OPENING_MISMATCH', mismatch(commits, section));
    fields.push(...shown.map(({ pointer, value }) => ({ pointer, value })));
    withheldFields += withheld.length;
  }
  return isRight ? { extent: 'part', sections: {}, fields, withheldFields, withheldSections } : undefined;
}

/**
 * Why this cannot be what a commitment was made over. A section is one value under its own pointer, or an object with one
 * digest for each member: whoever could mix the two would show a member as the whole, or one section's field as another's.
 */
function objection(section: string, fields: readonly DisclosedField[], withheld: readonly string[]): string | undefined {
  const own = sectionPointer(section);
  const isWhole = fields.some(({ pointer }) => pointer === own);
  if (isWhole && (fields.length > 1 || withheld.length > 0)) return 'is the whole and parts of it at once';
  if (isWhole && isObject(fields[0]?.value)) return 'is an object shown as one value';
  if (!isWhole && !fields.every(({ pointer }) => isMember(pointer, own))) return 'has a field under a pointer of something else';
  if (!isRising(fields.map(({ pointer }) => pointer))) return 'has fields twice or out of order';
  if (!isRising(withheld)) return 'has digests twice or out of order';
  return undefined;
}

/** `/args/path`, one step below `/args` and no further, with the escapes RFC 6901 has. */
function isMember(pointer: string, section: string): boolean {
  return pointer.startsWith(`${section}/`) && /^(?:[^~/]|~[01])*$/u.test(pointer.slice(section.length + 1));
}

function isRising(texts: readonly string[]): boolean {
  return texts.every((text, index) => index === 0 || (texts[index - 1] as string) < text);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined for a value without a canonical form, which nobody can have committed to. */
function commitOf(fields: readonly DisclosedField[], withheld: readonly string[]): string | undefined {
  try {
    const digests = fields.map(({ salt, pointer, value }) => fieldDigest(salt, pointer, value));
    // A digest that is listed as withheld too would count once for two.
    if (new Set([...digests, ...withheld]).size !== digests.length + withheld.length) return undefined;
    return commitDigests([...digests, ...withheld]);
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  }
}

function mismatch(commits: Commits, section: string): string {
  const why = Object.hasOwn(commits, section) ? 'does not match its commitment' : 'is not committed to';
  return `the ${printable(section)} shown with the entry ${why}`;
}
