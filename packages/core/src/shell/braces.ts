import { MAX_BRACE_WORDS } from './analysis.ts';

/**
 * Brace expansion, the first thing a shell does to a word: on its source, quotes and expansions untouched.
 *
 * @returns the words in source form, `undefined` when there are too many or the braces cannot be told apart for certain.
 */
export function expandBraces(source: string): readonly string[] | undefined {
  const budget = { left: MAX_BRACE_WORDS, steps: MAX_BRACE_STEPS };
  return expand(source, budget);
}

/** Characters looked at, since braces in braces are looked at again and again. */
const MAX_BRACE_STEPS = 65_536;

interface Budget {
  left: number;
  steps: number;
}

interface Brace {
  readonly open: number;
  readonly close: number;
  readonly commas: readonly number[];
}

function expand(source: string, budget: Budget): readonly string[] | undefined {
  if (--budget.left < 0) return undefined;
  const brace = firstBrace(source, budget);
  if (budget.steps < 0) return undefined;
  if (brace === undefined) return [source];
  const inside = source.slice(brace.open + 1, brace.close);
  const choices = brace.commas.length > 0 ? splitAt(source, brace) : sequence(inside);
  if (choices === undefined) return undefined;
  const before = source.slice(0, brace.open);
  const after = source.slice(brace.close + 1);
  const words: string[] = [];
  for (const choice of choices) {
    // The rest is expanded with each choice: budget bounds the product.
    const expanded = expand(before + choice + after, budget);
    if (expanded === undefined) return undefined;
    words.push(...expanded);
    if (words.length > MAX_BRACE_WORDS) return undefined;
  }
  return words;
}

/** The first braces that expand: a comma or a sequence between them, not quoted, not `${`. */
function firstBrace(source: string, budget: Budget): Brace | undefined {
  let from = 0;
  for (;;) {
    const open = nextUnquoted(source, from, '{');
    if (open < 0) return undefined;
    budget.steps -= open - from;
    const brace = closing(source, open, budget);
    if (budget.steps < 0) return undefined;
    if (brace !== undefined && (brace.commas.length > 0 || isSequence(source.slice(open + 1, brace.close)))) return brace;
    from = open + 1;
  }
}

function closing(source: string, open: number, budget: Budget): Brace | undefined {
  const commas: number[] = [];
  let depth = 0;
  for (let i = open; i < source.length; i = next(source, i)) {
    if (--budget.steps < 0) return undefined;
    const character = source[i];
    if (character === '{' && source[i - 1] !== '$') depth++;
    else if (character === '}' && --depth === 0) return { open, close: i, commas };
    else if (character === ',' && depth === 1) commas.push(i);
  }
  return undefined;
}

function nextUnquoted(source: string, from: number, wanted: string): number {
  for (let i = from; i < source.length; i = next(source, i)) if (source[i] === wanted) return i;
  return -1;
}

/** The next place that is neither quoted nor inside an expansion. */
function next(source: string, at: number): number {
  const character = source[at];
  if (character === '\\') return at + 2;
  if (character === "'") return after(source, at + 1, "'", source[at - 1] === '$');
  if (character === '"') return after(source, at + 1, '"', true);
  if (character === '`') return after(source, at + 1, '`', true);
  if (character === '$' && source[at + 1] === '{') return balanced(source, at + 1, '{', '}');
  if ((character === '$' || character === '<' || character === '>') && source[at + 1] === '(') return balanced(source, at + 1, '(', ')');
  return at + 1;
}

function after(source: string, from: number, quote: string, escapes: boolean): number {
  for (let i = from; i < source.length; i++) {
    if (escapes && source[i] === '\\') i++;
    else if (source[i] === quote) return i + 1;
  }
  return source.length;
}

function balanced(source: string, from: number, open: string, close: string): number {
  let depth = 0;
  for (let i = from; i < source.length; i++) {
    if (source[i] === '\\') i++;
    else if (source[i] === "'") i = after(source, i + 1, "'", false) - 1;
    else if (source[i] === open) depth++;
    else if (source[i] === close && --depth === 0) return i + 1;
  }
  return source.length;
}

function splitAt(source: string, brace: Brace): readonly string[] {
  const edges = [brace.open, ...brace.commas, brace.close];
  return edges.slice(1).map((edge, i) => source.slice((edges[i] ?? 0) + 1, edge));
}

function isSequence(text: string): boolean {
  const parts = text.split('..');
  return (parts.length === 2 || parts.length === 3) && parts.every((part) => part !== '');
}

function sequence(text: string): readonly string[] | undefined {
  const [first = '', last = '', step] = text.split('..');
  if (step !== undefined) return undefined;
  if (isInteger(first) && isInteger(last)) {
    // A leading zero pads; the words are numbers either way, and only exact ones may be given back.
    if (isPadded(first) || isPadded(last)) return undefined;
    return range(Number(first), Number(last), String);
  }
  if (isLetter(first) && isLetter(last)) return range(first.charCodeAt(0), last.charCodeAt(0), (code) => String.fromCharCode(code));
  return undefined;
}

function isPadded(text: string): boolean {
  const digits = text.startsWith('-') ? text.slice(1) : text;
  return digits.length > 1 && digits.startsWith('0');
}

function isInteger(text: string): boolean {
  return /^-?[0-9]{1,9}$/.test(text);
}

function isLetter(text: string): boolean {
  return /^[A-Za-z]$/.test(text);
}

function range(from: number, to: number, write: (value: number) => string): readonly string[] | undefined {
  const count = Math.abs(to - from) + 1;
  if (count > MAX_BRACE_WORDS) return undefined;
  const step = to >= from ? 1 : -1;
  // A range of letters that crosses from one case to the other holds a backslash and a backquote; too odd to follow.
  const words = Array.from({ length: count }, (_, i) => write(from + i * step));
  return words.some((word) => word === '\\' || word === '`') ? undefined : words;
}
