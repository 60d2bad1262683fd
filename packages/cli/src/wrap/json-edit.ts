/** Changing one place of a JSON file with comments; every other byte stays. */
import { applyEdits, type JSONPath, modify, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { FileRefusedError } from '../failure.ts';
import { withinStack } from './syntax.ts';

const DEFAULT_INDENT = 2;

/**
 * The value at a path set, or removed with `undefined`. Comments, order, line ends and trailing commas elsewhere stay as they
 * are; what is written new is indented like the rest of the file, and so is a line it stands on.
 *
 * @param path - keys and indices; an index one past the end of a list appends to it.
 * @param given - must parse (`parseJson`); may be empty, which reads as `{}`.
 */
export function editJson(given: string, path: JSONPath, value: unknown): string {
  const text = given.trim() === '' ? '{}\n' : given;
  // Without formatting a removal takes only what stands between it and its neighbour.
  if (value === undefined) return applyEdits(text, modify(text, [...path], undefined, {}));
  const isArrayInsertion = typeof path.at(-1) === 'number' && !exists(text, path);
  return applyEdits(text, modify(text, [...path], value, { formattingOptions: formattingOf(text), isArrayInsertion }));
}

/**
 * The tree of a JSON text with comments and trailing commas.
 *
 * @param path - of the file, for messages.
 * @throws {FileRefusedError} with line and column of the first thing that is wrong.
 */
export function parseJson(text: string, path: string): NonNullable<ReturnType<typeof parseTree>> {
  const errors: ParseError[] = [];
  const tree = withinStack(path, () => parseTree(text, errors, { allowTrailingComma: true }));
  const [first] = errors;
  if (first !== undefined) throw invalid(path, `is not JSON at ${position(text, first.offset)}: ${printParseErrorCode(first.error)}`);
  if (tree === undefined) throw invalid(path, 'is empty');
  return tree;
}

/** `line 3, column 7`, counted from 1. */
export function position(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`;
}

function invalid(path: string, why: string): FileRefusedError {
  return new FileRefusedError(`${path} ${why}`, 'correct the file; nothing was changed');
}

function exists(text: string, path: JSONPath): boolean {
  const tree = parseTree(text, [], { allowTrailingComma: true });
  let node = tree;
  for (const step of path) {
    node =
      typeof step === 'number'
        ? node?.type === 'array'
          ? node.children?.[step]
          : undefined
        : node?.children?.find((each) => each.children?.[0]?.value === step)?.children?.[1];
    if (node === undefined) return false;
  }
  return true;
}

function formattingOf(text: string): { readonly insertSpaces: boolean; readonly tabSize: number; readonly eol: string } {
  const indent = /^(?:[ \t]*)(?:[{[].*)?\r?\n([ \t]+)/.exec(text)?.[1] ?? /\n([ \t]+)\S/.exec(text)?.[1];
  return {
    insertSpaces: indent?.startsWith('\t') !== true,
    tabSize: indent === undefined || indent.startsWith('\t') ? DEFAULT_INDENT : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}
