/** A second reading of bash, by tree-sitter, to compare ours with. Only names and redirects that are written out are given. */
import { createRequire } from 'node:module';
import { Language, type Node, Parser } from 'web-tree-sitter';

const require = createRequire(import.meta.url);

export interface Reading {
  /** Literal names of commands, in any nesting. */
  readonly commands: readonly string[];
  /** Literal targets of redirects to files. */
  readonly redirects: readonly string[];
  readonly hasError: boolean;
}

/** @returns undefined when the WebAssembly cannot be loaded; the tests then say that nothing was compared. */
export async function treeSitter(): Promise<((text: string) => Reading) | undefined> {
  try {
    await Parser.init();
    const language = await Language.load(require.resolve('tree-sitter-bash/tree-sitter-bash.wasm'));
    const parser = new Parser();
    parser.setLanguage(language);
    return (text) => {
      const tree = parser.parse(text);
      if (tree === null) throw new Error('tree-sitter gave no tree');
      const reading = readingOf(tree.rootNode);
      tree.delete();
      return reading;
    };
  } catch (error) {
    console.warn(`tree-sitter-bash could not be loaded, nothing is compared: ${String(error)}`);
    return undefined;
  }
}

function readingOf(root: Node): Reading {
  const commands: string[] = [];
  const redirects: string[] = [];
  const pending: Node[] = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.type === 'command_name') {
      const name = literal(node.namedChildren[0]);
      if (name !== undefined) commands.push(name);
    } else if (node.type === 'file_redirect') {
      const target = literal(node.childForFieldName('destination'));
      if (target !== undefined && !/^[0-9]+-?$|^-$/.test(target)) redirects.push(target);
    }
    for (const child of node.namedChildren) if (child !== null) pending.push(child);
  }
  return { commands, redirects, hasError: root.hasError };
}

/** The text of a word that is spelt out, quotes taken off. */
function literal(node: Node | null | undefined): string | undefined {
  if (node === null || node === undefined) return undefined;
  if (node.type === 'word' || node.type === 'number') return unescaped(node.text);
  if (node.type === 'raw_string') return node.text.slice(1, -1);
  if (node.type === 'string')
    return node.namedChildren.every((child) => child?.type === 'string_content') && !node.text.includes('\\')
      ? node.text.slice(1, -1)
      : undefined;
  if (node.type === 'concatenation' || node.type === 'command_name') {
    const parts = node.namedChildren.map(literal);
    return parts.includes(undefined) ? undefined : parts.join('');
  }
  return undefined;
}

/** Names with patterns or braces are not names yet. */
function unescaped(text: string): string | undefined {
  if (/[*?[\]{}~]/.test(text)) return undefined;
  return text.replaceAll('\\\n', '').replaceAll(/\\(.)/g, '$1');
}
