/**
 * Arithmetic runs commands in two ways: by a substitution in its text, which is followed, and by the value of a variable,
 * which the shell reads as an expression again: with `x='a[$(rm f)]'`, `$((x))` removes a file.
 */
import type { ArithmeticExpression, WordPart } from 'unbash';
import { type Context, followApart } from './context.ts';
import { isDigits, NUMBER } from './field.ts';

/** Follows substitutions, and forgets what the expression assigns. */
export function followArithmetic(expression: ArithmeticExpression, context: Context): void {
  switch (expression.type) {
    case 'ArithmeticBinary':
      followArithmetic(expression.left, context);
      followArithmetic(expression.right, context);
      if (isAssignment(expression.operator)) assign(expression.left, context);
      return;
    case 'ArithmeticUnary':
      followArithmetic(expression.operand, context);
      if (expression.operator === '++' || expression.operator === '--') assign(expression.operand, context);
      return;
    case 'ArithmeticTernary':
      followArithmetic(expression.test, context);
      followArithmetic(expression.consequent, context);
      followArithmetic(expression.alternate, context);
      return;
    case 'ArithmeticGroup':
      followArithmetic(expression.expression, context);
      return;
    case 'ArithmeticWord':
      followOperand(expression.value, expression.parts, context);
      return;
    case 'ArithmeticCommandExpansion':
      if (expression.script === undefined) context.recorder.undecided('parse-error');
      else {
        followApart(expression.script, context);
        // What the command prints is an expression, and nobody knows which.
        context.recorder.undecided('arithmetic');
      }
      return;
    default:
      expression satisfies never;
  }
}

/** A text that the shell evaluates as arithmetic: the operands of `-eq` in `[[`, of `let`, of an index. */
export function checkArithmeticText(text: string, context: Context): void {
  for (const name of namesIn(text)) checkName(name, context);
  if (text.includes('$') || text.includes('`') || text.includes('[')) context.recorder.undecided('arithmetic');
  for (const character of text) if (character.charCodeAt(0) < 4) context.recorder.undecided('arithmetic');
}

function isAssignment(operator: string): boolean {
  return operator.endsWith('=') && operator !== '==' && operator !== '!=' && operator !== '<=' && operator !== '>=';
}

function assign(target: ArithmeticExpression, context: Context): void {
  const inner = target.type === 'ArithmeticGroup' ? target.expression : target;
  if (inner.type !== 'ArithmeticWord') return;
  for (const name of namesIn(inner.value)) context.state.set(name, NUMBER);
}

function followOperand(value: string, parts: readonly WordPart[] | undefined, context: Context): void {
  if (parts === undefined) {
    for (const name of namesIn(value)) checkName(name, context);
    return;
  }
  const text = context.engine.textOfParts(parts, context);
  for (const character of text) {
    if (character.charCodeAt(0) >= 4 || character === NUMBER) continue;
    // $name of the environment is trusted to be a number, as any program does; what the script itself computed is not.
    if (namesIn(value).some((name) => context.state.isSet(name)) || value.includes('(') || value.includes('`'))
      context.recorder.undecided('arithmetic');
    break;
  }
  checkIndexed(text, context);
}

function checkIndexed(text: string, context: Context): void {
  if (text.includes('$') || text.includes('`')) context.recorder.undecided('arithmetic');
  for (const name of namesIn(text)) checkName(name, context);
}

/** A variable is safe when it holds a number or the name of a variable, or when the script did not set it. */
function checkName(name: string, context: Context): void {
  if (!context.state.isSet(name)) return;
  const value = context.state.get(name);
  for (const text of typeof value === 'string' ? [value] : value) {
    if (text !== NUMBER && text !== '' && !isDigits(text.startsWith('-') ? text.slice(1) : text)) context.recorder.undecided('arithmetic');
  }
}

function namesIn(text: string): readonly string[] {
  const names: string[] = [];
  let start = -1;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0;
    const isLetter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
    if (isLetter && start < 0) start = i;
    else if (start >= 0 && !isLetter && !(code >= 48 && code <= 57)) {
      names.push(text.slice(start, i));
      start = -1;
    }
  }
  return names;
}
