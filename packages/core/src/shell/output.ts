import type { CommandNode } from 'unbash';
import type { Context } from './context.ts';
import { type Field, isKnown } from './field.ts';
import { fieldsOf, textOf, textOfParts } from './words.ts';

/**
 * What a command prints into a pipe, where that is plain to see: `echo`, `printf` and `cat` of literal text. A shell at
 * the other end runs it.
 */
export function outputOf(node: CommandNode, context: Context): string | undefined {
  if (node.type !== 'Command' || node.name === undefined) return undefined;
  const name = node.name.text;
  if (name !== 'echo' && name !== 'printf' && name !== 'cat') return undefined;
  if (context.state.definitions.isDefined(name)) return undefined;
  const args: Field[] = [];
  for (const part of node.suffix) {
    if (part.type === 'Word') args.push(...fieldsOf(part, context));
    else if (part.type === 'Assignment') return undefined;
  }
  if (!args.every(isKnown)) return undefined;
  if (name === 'echo') return echoed(args);
  if (name === 'printf') return formatted(args);
  return args.length === 0 || (args.length === 1 && args[0] === '-') ? passedOn(node.redirects, context) : undefined;
}

/** Shells differ in what `echo` makes of a backslash and of `-e`; then nothing is known. */
function echoed(args: readonly Field[]): string | undefined {
  const [first = '', ...rest] = args;
  if (first.startsWith('-') && first !== '-n') return undefined;
  const text = (first === '-n' ? rest : args).join(' ');
  if (text.includes('\\') || (first === '-n' && rest[0]?.startsWith('-') === true)) return undefined;
  return first === '-n' ? text : `${text}\n`;
}

function formatted(args: readonly Field[]): string | undefined {
  const [format = '', ...rest] = args;
  if (format === '%s' || format === '%s\\n') return rest.map((text) => text + (format === '%s' ? '' : '\n')).join('');
  if (format.startsWith('-') || format.includes('%') || format.replaceAll('\\n', '').includes('\\')) return undefined;
  return format.replaceAll('\\n', '\n');
}

type Redirects = Extract<CommandNode, { type: 'Command' }>['redirects'];

function passedOn(redirects: Redirects, context: Context): string | undefined {
  let text: string | undefined = context.input.kind === 'text' ? context.input.text : undefined;
  for (const redirect of redirects) {
    if (redirect.type === 'HereDoc')
      text = redirect.body.parts === undefined ? redirect.body.text : textOfParts(redirect.body.parts, context);
    else if (redirect.type === 'HereString') text = redirect.target === undefined ? undefined : textOf(redirect.target, context);
    else if (redirect.operator.startsWith('<')) text = undefined;
  }
  return text !== undefined && isKnown(text) ? text : undefined;
}
