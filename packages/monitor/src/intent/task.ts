/**
 * What a task asks for, and what it rules out, by its words. English only: a task in another language is not understood, and says so.
 *
 * Whoever writes the task may be an attacker: a mail that the agent was told to answer, a page it was told to read. So nothing of
 * this ever lowers a verdict of the rules (`worse`), what stands in quotes asks for nothing, and what is ruled out anywhere, in
 * quotes too, stays ruled out.
 */
import { CountersignError } from '@countersign/core';
import { DEEDS, type Deed, meaningOf } from './words.ts';

/** A longer task is refused: of a cut one nobody knows what it ruled out. */
export const MAX_TASK_CHARS = 20_000;

/** `unclear`: asked for and ruled out, or it may well come with the rest. */
export type Stance = 'asked' | 'ruled-out' | 'unclear' | 'silent';

export interface Task {
  /** False: no word of it is known here. */
  readonly understood: boolean;
  stance(deed: Deed): Stance;
}

/** @throws {CountersignError} `OPTIONS_INVALID` for what is no text or too long */
export function readTask(text: string): Task {
  if (typeof text !== 'string' || text.length > MAX_TASK_CHARS) {
    throw new CountersignError('OPTIONS_INVALID', `the task must be a text of at most ${MAX_TASK_CHARS} characters`);
  }
  const found = new Findings();
  let state: State = { quoted: false, negated: false };
  for (const line of plainText(text).split(LINE_ENDS)) {
    // "Do not:" rules out every item of the list under it.
    const listed = state.negated && LIST_ITEM.test(line);
    for (const sentence of line.split(SENTENCE_ENDS)) state = readSentence(sentence, found, { quoted: state.quoted, negated: listed });
    state = { quoted: state.quoted, negated: listed || (state.negated && line.trimEnd().endsWith(':')) };
  }
  return found.task();
}

type Way = 'asks' | 'forbids' | 'both' | 'quoted';

class Findings {
  readonly #asked = new Set<Deed>();
  readonly #forbidden = new Set<Deed>();
  readonly #maybe = new Set<Deed>();
  #understood = false;

  add(word: string, way: Way): void {
    const meaning = meaningOf(word);
    if (meaning === undefined) return;
    const { asks, maybe = [] } = meaning;
    if (way === 'asks' || way === 'both') {
      this.#understood = true;
      for (const deed of asks) this.#asked.add(deed);
      for (const deed of maybe) this.#maybe.add(deed);
    }
    if (way === 'forbids' || way === 'both') this.#forbidden.add(firstOf(asks));
  }

  forbid(deeds: readonly Deed[]): void {
    for (const deed of deeds) this.#forbidden.add(deed);
  }

  task(): Task {
    const stances = new Map(DEEDS.map((deed) => [deed, this.#stance(deed)]));
    return { understood: this.#understood || this.#forbidden.size > 0, stance: (deed) => stances.get(deed) ?? 'silent' };
  }

  #stance(deed: Deed): Stance {
    const isAsked = this.#asked.has(deed);
    if (this.#forbidden.has(deed)) return isAsked || this.#maybe.has(deed) ? 'unclear' : 'ruled-out';
    // Whatever the task is, it begins with reading.
    if (isAsked || deed === 'read') return 'asked';
    return this.#maybe.has(deed) ? 'unclear' : 'silent';
  }
}

function firstOf(asks: readonly Deed[]): Deed {
  return asks[0] ?? 'read';
}

/** Zero-width and other format characters split words, look-alikes of compatibility forms hide them. */
function plainText(text: string): string {
  return text
    .normalize('NFKC')
    .replace(/[\p{Cf}\p{Mn}]/gu, '')
    .replace(/[\u2018\u2019\u02bc`](?=t\b)/giu, "'")
    .toLowerCase()
    .replace(/\bset(?:s|ting)?\s+up\b/gu, 'setup')
    .replace(/\benvironment\s+var/gu, 'configuration var');
}

const LINE_ENDS = /[\n\r\u2028\u2029]+/u;
const LIST_ITEM = /^\s*(?:[-*\u2022]|\d+[.)])\s/u;
const SENTENCE_ENDS = /[.!?;]+(?=\s|$)/u;
const CLAUSE_ENDS = /,|\b(?:but|then|instead|however|although|so)\b(?!\s+of\b)/u;
/** A word, or a mark that opens or closes a quotation. An apostrophe inside a word belongs to it. */
const TOKENS = /[a-z]+(?:'[a-z]+)?|["\u201c\u201d\u00ab\u00bb]|```|`|[:()]/gu;
const QUOTES: ReadonlySet<string> = new Set(['"', '\u201c', '\u201d', '\u00ab', '\u00bb', '`', '```']);

const NEGATIONS: ReadonlySet<string> = new Set(
  'not never without no avoid avoiding don dont cannot refrain forbid forbidden prohibited neither nor none nothing stop skip except instead'.split(
    ' ',
  ),
);
/** "Do not forget to delete" asks for it; somebody else may read it otherwise. */
const TURNED: ReadonlySet<string> = new Set(['forget', 'hesitate', 'fail', 'only', 'just', 'merely']);
/** Between a ruled out verb and "and": its object has been named, and what follows may be a new request. */
const JOINS: ReadonlySet<string> = new Set(['and', 'plus']);

/** "Deleting anything is not allowed": what came before it is ruled out as well. */
const RULED_OUT =
  /\b(?:not|never|no|isn't|aren't)\b.*\b(?:allowed|permitted|okay|ok|wanted|acceptable)\b|\b(?:forbidden|prohibited|disallowed|off[ -]limits)\b/u;
const READS_ONLY = /\bread[ -]?only\b|\bonly (?:read|look|list|view|inspect)/u;
/** What follows within so many words is a thing, not a deed: "read the test output". */
const DETERMINERS: ReadonlySet<string> = new Set('the a an this that these those its my our your their his her'.split(' '));
const DETERMINED_WORDS = 2;
const DEED_FOLLOWS: ReadonlySet<string> = new Set([
  ':',
  '(',
  ')',
  'to',
  'and',
  'or',
  'nor',
  'please',
  'by',
  'plus',
  'must',
  'should',
  'will',
  'can',
  'may',
]);

interface State {
  readonly quoted: boolean;
  readonly negated: boolean;
}

function readSentence(sentence: string, found: Findings, start: State): State {
  if (READS_ONLY.test(sentence)) found.forbid(['delete', 'config', 'write']);
  const clauses = sentence.split(CLAUSE_ENDS);
  let { quoted, negated } = start;
  for (const [i, clause] of clauses.entries()) {
    // "Do not delete, move or rename": the list is ruled out to its end, which "or" announces.
    const goesOn = i === 0 || clauses.slice(i).some((later) => /\b(?:or|nor)\b/u.test(later));
    ({ quoted, negated } = readClause(clause, found, { quoted, negated: start.negated || (goesOn && negated) }));
  }
  return { quoted, negated };
}

function readClause(clause: string, found: Findings, start: State): State {
  const whole = RULED_OUT.test(clause);
  let { quoted, negated } = start;
  let outside = false;
  let turned = false;
  let unsure = false;
  let objects = 0;
  let determined = 0;
  for (const [token] of clause.matchAll(TOKENS)) {
    const isThing = determined > 0;
    determined = DETERMINERS.has(token) ? DETERMINED_WORDS : DEED_FOLLOWS.has(token) ? 0 : determined - 1;
    if (QUOTES.has(token)) {
      // What was ruled out inside ends with the quotation.
      if (quoted) negated = outside;
      else outside = negated;
      quoted = !quoted;
    } else if (NEGATIONS.has(token) || token.endsWith("n't")) {
      negated = true;
      turned = false;
      unsure = false;
      objects = 0;
    } else if (negated && TURNED.has(token)) {
      turned = true;
    } else if (negated && JOINS.has(token)) {
      unsure ||= objects > 0;
    } else if (isThing || meaningOf(token) === undefined) {
      objects++;
    } else {
      found.add(token, wayOf(quoted, negated || whole, !whole && (turned || unsure)));
      objects = 0;
    }
  }
  return { quoted, negated };
}

function wayOf(quoted: boolean, negated: boolean, unsure: boolean): Way {
  if (!negated) return quoted ? 'quoted' : 'asks';
  return unsure && !quoted ? 'both' : 'forbids';
}
