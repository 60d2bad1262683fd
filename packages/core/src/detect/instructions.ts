/**
 * Text that speaks to a model instead of to its user, as kinds. For results of tools, and for the descriptions of tools.
 *
 * A heuristic: it finds the ways that are known, in the languages that are most common, also where they are spelled so that
 * only a model reads them (zero-width and tag characters, look-alike letters, leetspeak, letters one by one, base64, percent
 * and `\u` escapes, HTML comments and invisible elements). It says what a text looks like, never that a text is harmless.
 * Linear: every gap is bounded, and every decoding is shorter than what it decodes.
 */
import { findEncoded } from '../redact/encoded.ts';
import { foldWords, otherReadings } from './fold.ts';
import { tagText } from './hidden.ts';
import { HIDDEN_ORDER, WORD_PATTERNS, type WordKind } from './instruction-patterns.ts';

/** Besides those of words: `role`: marks of a chat template. `tool-call`: marks of a call. `hidden`: orders where no reader looks. `exfiltration`: an image whose address carries data away. */
export type InstructionKind = WordKind | 'exfiltration' | 'hidden' | 'role' | 'tool-call';

/** How often a text may be encoded. */
const MAX_ENCODED_DEPTH = 2;
const MAX_HIDDEN_CHARS = 4000;

/** @returns kinds, sorted, each once. */
export function findInstructions(text: string): readonly InstructionKind[] {
  const kinds = new Set<InstructionKind>();
  findPlain(text, kinds);
  findDecoded(text, kinds, MAX_ENCODED_DEPTH);
  return [...kinds].toSorted();
}

function findPlain(text: string, kinds: Set<InstructionKind>): void {
  findMarks(text, kinds);
  const words = foldWords(text);
  findInWords(words, kinds);
  for (const reading of otherReadings(text, words)) findInWords(reading, kinds);
  const tags = tagText(text);
  if (tags !== '') findInWords(foldWords(tags), kinds);
  findOutOfSight(text, kinds);
}

/** Words are looked up in a set first, one stretch of the text after the other. */
const STRETCH_CHARS = 262_144;
/** Longer than any pattern reaches. */
const OVERLAP_CHARS = 2048;

function findInWords(words: string, kinds: Set<InstructionKind>): void {
  for (let start = 0; start < words.length; start += STRETCH_CHARS) {
    const stretch = words.slice(Math.max(0, start - OVERLAP_CHARS), start + STRETCH_CHARS);
    const known = new Set(stretch.split(' '));
    for (const { kind, needs, pattern } of WORD_PATTERNS) {
      if (kinds.has(kind) || !needs.every((some) => some.some((word) => known.has(word)))) continue;
      if (pattern.test(stretch)) kinds.add(kind);
    }
  }
}

function findDecoded(text: string, kinds: Set<InstructionKind>, depth: number): void {
  if (depth === 0) return;
  const judge = {
    isSecret(decoded: string): boolean {
      findPlain(decoded, kinds);
      findDecoded(decoded, kinds, depth - 1);
      return false;
    },
    isPlain: () => false,
  };
  findEncoded(text, judge, () => undefined);
}

const MARKS: readonly (readonly [InstructionKind, RegExp])[] = [
  [
    'role',
    /<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|end_of_turn|channel|message)\|>/i,
  ],
  ['role', /<(?:start|end)_of_turn>|\[\/?INST\]|<<\/?SYS>>|\[\/?SYSTEM_PROMPT\]/],
  [
    'role',
    /<\/?(?:system|important|system[-_ ](?:prompt|reminder|message|note|override|instructions?)|admin[-_ ]?(?:note|override|instructions?)|user_query|user_message|assistant_response)>/i,
  ],
  ['role', /\n\n(?:Human|Assistant|H|A): {0,2}\S[^\n]{0,400}\n\n(?:Human|Assistant|H|A): /],
  [
    'role',
    /(?:^|\n)[ \t>#*[(]{0,8}(?:system|developer|admin(?:istrator)?)[ _-]{0,2}(?:override|prompt override|directive|instructions? update|prompt update)[\])* \t]{0,6}:/i,
  ],
  ['role', /(?:^|\n)-{3,} {0,3}(?:begin|end|start)(?: of)? (?:system|user|new|assistant|admin) (?:prompt|instructions?|message)s?\b/i],
  [
    'tool-call',
    /<\/?(?:antml:)?(?:tool_calls?|function_calls?|tool_use|tool_code|tool_result|tool_response|invoke name=|function_results)\b[^<>]{0,200}>/i,
  ],
  ['tool-call', /\[TOOL_CALLS\]|<\|(?:python_tag|tool_call|plugin|tool_calls_begin|action_start)\|>|<｜tool[^>]{1,30}｜>/],
  ['tool-call', /"tool_calls"\s{0,20}:\s{0,20}\[\s{0,20}\{\s{0,20}"(?:id|type|function)"/],
  [
    'tool-call',
    /(?:^|\n)[ \t]{0,8}(?:Action|Tool): {0,4}[\w.-]{1,60}[ \t]{0,8}\n[ \t]{0,8}(?:Action Input|Tool Input|Arguments): {0,4}[{"]/,
  ],
];

function findMarks(text: string, kinds: Set<InstructionKind>): void {
  for (const [kind, pattern] of MARKS) if (!kinds.has(kind) && pattern.test(text)) kinds.add(kind);
  if (!kinds.has('exfiltration') && leaksThroughImage(text)) kinds.add('exfiltration');
}

const IMAGES =
  /!\[[^[\]\n]{0,200}\]\(\s{0,4}<?(https?:\/\/[^\s)>]{1,2000})|<img\b[^<>]{0,300}?\bsrc\s{0,4}=\s{0,4}["']?(https?:\/\/[^\s"'>]{1,2000})/gi;
/** Names of parameters under which data is carried away. */
const CARRIES =
  /^(?:c|chat|content|context|conversation|cookie|cookies|d|data|exfil|hist|history|info|key|keys|leak|m|message|msg|p|payload|prompt|q|query|secret|secrets|stolen|summary|t|text|token|x)$/i;
const BLANK = /^(?:|[{<[(].*|.*(?:\$\{|\{\{|%7b|%3c|%5b|\[insert|\[data|placeholder|_here|data_?here).*)$/i;
const LONG_DATA = /^(?!data(?::|%3a))[\w%+/=-]{120,}$/i;

/** An image whose address leaves a place to be filled in, or carries much: whoever renders it sends it. */
function leaksThroughImage(text: string): boolean {
  for (const [, markdown, html] of text.matchAll(IMAGES)) {
    const url = markdown ?? html;
    const query = url?.split('?').slice(1).join('?') ?? '';
    if (query === '') {
      if (url !== undefined && /[{<[](?:data|secret|conversation|prompt|key|history|summary|insert|password|token)/i.test(url)) return true;
      continue;
    }
    for (const pair of query.split('&')) {
      const [name = '', ...rest] = pair.split('=');
      const value = rest.join('=');
      if ((CARRIES.test(name) && BLANK.test(value)) || /[{<[]/.test(value) || LONG_DATA.test(value)) return true;
    }
  }
  return false;
}

const OUT_OF_SIGHT = new RegExp(
  [
    `(?:^|\\n)\\[(?://|comment|_)\\]: ?(?:#|<>) ?([^\\n]{1,${MAX_HIDDEN_CHARS}})`,
    `<[a-z]{1,12}\\b[^<>]{0,300}?(?:display\\s{0,3}:\\s{0,3}none|visibility\\s{0,3}:\\s{0,3}hidden|font-size\\s{0,3}:\\s{0,3}0|opacity\\s{0,3}:\\s{0,3}0(?![.\\d])|color\\s{0,3}:\\s{0,3}(?:white|#fff(?:fff)?|transparent)\\b|left\\s{0,3}:\\s{0,3}-\\d{3,})[^<>]{0,300}>([^<]{1,${MAX_HIDDEN_CHARS}})`,
    `(?:alt|title|aria-label|content)\\s{0,3}=\\s{0,3}"([^"]{20,${MAX_HIDDEN_CHARS}})"`,
  ].join('|'),
  'gi',
);

/** Comments, invisible elements and attributes: an order there is for a machine. */
function findOutOfSight(text: string, kinds: Set<InstructionKind>): void {
  if (kinds.has('hidden')) return;
  for (const comment of commentsOf(text)) if (isOrder(comment, true)) return void kinds.add('hidden');
  for (const [, link, element, attribute] of text.matchAll(OUT_OF_SIGHT))
    if (isOrder(link ?? element ?? attribute ?? '', attribute === undefined)) return void kinds.add('hidden');
}

/** Not by a pattern: of many that are never closed each would be read to its bound. */
function* commentsOf(text: string): Generator<string> {
  for (let start = text.indexOf('<!--'); start >= 0; ) {
    const end = text.indexOf('-->', start + 4);
    yield text.slice(start + 4, Math.min(end < 0 ? text.length : end, start + 4 + MAX_HIDDEN_CHARS));
    start = end < 0 ? -1 : text.indexOf('<!--', end);
  }
}

function isOrder(hidden: string, isUnseen: boolean): boolean {
  const words = foldWords(hidden);
  return (isUnseen && HIDDEN_ORDER.test(words)) || WORD_PATTERNS.some(({ pattern }) => pattern.test(words));
}
