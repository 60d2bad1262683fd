/** Reading YAML into plain data with a position for every path. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml';

/** Largest file, in characters. */
export const MAX_CONFIG_CHARS = 1_048_576;
/** Most nodes that aliases may add: a few shared lists, no bomb. */
const MAX_ALIASES = 50;

export type Path = readonly (string | number)[];

/** One thing that is wrong with a file. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

/** A problem with the value at a path. */
export type Look = (path: Path, message: string) => Problem;

export interface YamlText {
  readonly value: unknown;
  readonly problems: readonly Problem[];
  /** Where a value stands; the nearest enclosing one when the path does not exist. */
  place(path: Path): { readonly line: number; readonly column: number };
  /** Where a key stands. */
  keyPlace(path: Path): { readonly line: number; readonly column: number };
}

/** Parses one YAML 1.2 document. Syntax errors, warnings, tags, duplicate and odd keys are problems. */
export function readYaml(source: string): YamlText {
  const lines = new LineCounter();
  if (source.length > MAX_CONFIG_CHARS) {
    return unreadable([{ path: [], message: `the file is larger than ${MAX_CONFIG_CHARS} characters`, line: 1, column: 1 }]);
  }
  const at = (offset: number): { readonly line: number; readonly column: number } => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const document = parseDocument(source, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    merge: false,
    version: '1.2',
  });
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) => ({
    path: [],
    message: lowerFirst(error.message.split('\n')[0] ?? error.code),
    ...at(error.pos[0]),
  }));
  problems.push(...nodeProblems(document, at));
  if (problems.length > 0) return unreadable(problems);
  const places = {
    place: (path: Path) => at(offsetOf(find(document, path).value)),
    keyPlace: (path: Path) => {
      const found = find(document, path);
      return at(found.key === undefined ? offsetOf(found.value) : offsetOf(found.key));
    },
  };
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), problems: [], ...places };
  } catch {
    return unreadable([{ path: [], message: 'too many aliases: write the values out', line: 1, column: 1 }]);
  }
}

function unreadable(problems: readonly Problem[]): YamlText {
  const top = { line: 1, column: 1 };
  return { value: undefined, problems, place: () => top, keyPlace: () => top };
}

function nodeProblems(
  document: Document.Parsed,
  at: (offset: number) => { readonly line: number; readonly column: number },
): readonly Problem[] {
  const problems: Problem[] = [];
  const refuse = (node: unknown, message: string): number => problems.push({ path: [], message, ...at(offsetOf(node)) });
  visit(document, {
    Node(_key, node) {
      if (!isAlias(node) && 'tag' in node && typeof node.tag === 'string' && !isPlainTag(node.tag))
        refuse(node, 'tags are not allowed: write plain values');
    },
    Pair(_key, pair: Pair) {
      const key: unknown = pair.key;
      if (!isScalar(key) || typeof key.value !== 'string') refuse(key ?? pair.value, 'a key must be plain text');
      else if (key.value === '__proto__') refuse(key, 'the key "__proto__" is not allowed');
    },
  });
  return problems;
}

/** Tags the parser itself puts on scalars with a format; written tags such as `!!str` look the same and are harmless. */
function isPlainTag(tag: string): boolean {
  return /^tag:yaml\.org,2002:(?:str|int|float|bool|null|map|seq)$/.test(tag);
}

interface Found {
  readonly key?: unknown;
  readonly value: unknown;
}

function find(document: Document.Parsed, path: Path): Found {
  let found: Found = { value: document.contents };
  for (const step of path) {
    const node = isAlias(found.value) ? found.value.resolve(document) : found.value;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return found;
      found = { key: pair.key, value: pair.value ?? pair.key };
    } else if (isSeq(node) && typeof step === 'number') {
      const item: unknown = node.items[step];
      if (item === undefined) return found;
      found = { value: item };
    } else return found;
  }
  return found;
}

function offsetOf(node: unknown): number {
  const range = (node as Node | null | undefined)?.range;
  return range?.[0] ?? 0;
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
