/** Commands of the shell itself that change what comes after them, or run text. */
import { checkArithmeticText } from '../arithmetic.ts';
import { checkVariable } from '../environment.ts';
import { type Field, hasGlob, isDigits, isHidden, isKnown, PROCESS_FILE, UNKNOWN } from '../field.ts';
import { isAbsolute } from '../recorder.ts';
import { type Call, type Handler, has, parseOptions, runCode, runInside, valuesOf } from './call.ts';

const evaluate: Handler = (call) => runCode(call.args.join(' '), call);

const exec: Handler = (call) => {
  const options = parseOptions(call.args, { short: 'a', stops: true });
  runInside(options.operands, call);
};

/** `command rm`, `builtin eval`: `command -v` only asks. */
const command: Handler = (call) => {
  const options = parseOptions(call.args, { stops: true });
  if (!has(options, 'v', 'V')) runInside(options.operands, call);
};

const source: Handler = (call) => {
  const { recorder, state, input } = call.context;
  const [file] = call.args[0] === '--' ? call.args.slice(1) : call.args;
  if (file === undefined) return;
  if (file === '/dev/stdin' && input.kind === 'text') runCode(input.text, call);
  else if (!isKnown(file) || file === PROCESS_FILE || file.startsWith('/dev/') || file.startsWith('/proc/')) recorder.runsUnknown('script');
  else recorder.script(file, state.places);
  state.forgetVariables();
};

const trap: Handler = (call) => {
  const [code] = call.args[0] === '--' ? call.args.slice(1) : call.args;
  if (code === undefined || code === '' || code === '-' || code === '-p' || code === '-l' || isDigits(code)) return;
  const { state } = call.context;
  runCode(code, { ...call, context: { ...call.context, state: state.fork() } });
};

const alias: Handler = ({ args, context }) => {
  for (const arg of args) {
    const equals = arg.indexOf('=');
    if (equals <= 0) continue;
    const value = arg.slice(equals + 1);
    if (!isKnown(arg)) context.recorder.undecided('alias');
    else {
      context.state.definitions.aliases ??= new Map();
      context.state.definitions.aliases.set(arg.slice(0, equals), value);
    }
  }
};

/** Where we are is one of several places after a `cd` that may fail; joining states does that. */
const cd: Handler = ({ args, context }) => {
  const { state } = context;
  const [target] = args.filter((arg) => !['-P', '-L', '-e', '-@', '--', '-q'].includes(arg));
  if (target === undefined) state.moveTo(['~']);
  else if (isHidden(target) || hasGlob(target) || target === '-' || target.startsWith('+') || target.startsWith('-'))
    state.moveTo([undefined]);
  else if (isAbsolute(target)) state.moveTo([...state.places, target]);
  else
    state.moveTo([
      ...state.places,
      ...state.places.map((place) => (place === undefined ? undefined : place === '' ? target : `${place}/${target}`)),
    ]);
};
const popd: Handler = ({ context }) => context.state.moveTo([undefined]);

const declare: Handler = ({ args, context, name }) => {
  const { recorder, state } = context;
  const flags = args.filter((arg) => arg.startsWith('-') || arg.startsWith('+'));
  const isFlagged = (letter: string): boolean => flags.some((flag) => flag.startsWith('-') && flag.includes(letter));
  if (isFlagged('n') && name !== 'export') recorder.undecided('expansion');
  for (const arg of args) {
    if (flags.includes(arg)) continue;
    if (isHidden(arg) && !arg.includes('=')) recorder.undecided('expansion');
    const equals = arg.indexOf('=');
    const variable = equals < 0 ? arg : arg.slice(0, equals);
    if (equals >= 0) {
      const value = arg.slice(equals + 1);
      if (isFlagged('i')) checkArithmeticText(value, context);
      checkVariable(variable, isKnown(value) ? value : UNKNOWN, context);
      if (!Array.isArray(state.own(variable)))
        state.set(variable, isFlagged('u') || isFlagged('l') || isFlagged('i') ? UNKNOWN : isKnown(value) ? value : UNKNOWN);
    }
    if (isFlagged('i') && isKnown(variable)) (state.definitions.integers ??= new Set()).add(variable);
    checkNameText(variable, context);
  }
  if (args.length === 0 || (flags.length === args.length && isFlagged('p'))) recorder.find('credentials'); // prints every variable
};

/** A name such as `a[$(rm x)]` runs what is in its brackets. */
function checkNameText(text: Field, context: Call['context']): void {
  if (text.includes('[') && (text.includes('$') || text.includes('`') || isHidden(text))) context.recorder.undecided('arithmetic');
}

const readInto: Handler = ({ args, context }) => {
  const options = parseOptions(args, { short: 'adinNptuCcOs' });
  if (valuesOf(options, 'C').length > 0) context.recorder.undecided('code');
  for (const name of [...options.operands, ...valuesOf(options, 'a'), 'REPLY']) {
    checkNameText(name, context);
    if (isHidden(name)) context.state.forgetVariables();
    else context.state.set(name, UNKNOWN);
  }
};

const unset: Handler = ({ args, context }) => {
  for (const name of args) {
    checkNameText(name, context);
    if (isHidden(name)) context.state.forgetVariables();
    else if (!name.startsWith('-')) context.state.set(name, name === 'IFS' ? ' \t\n' : '');
  }
};

const set: Handler = ({ args, context }) => {
  const { state } = context;
  if (args.length === 0) {
    context.recorder.find('credentials'); // prints every variable
    return;
  }
  const end = args.indexOf('--');
  if (end >= 0) state.positional = args.slice(end + 1);
  else {
    const first = args.findIndex(
      (arg, i) =>
        !arg.startsWith('-') && !arg.startsWith('+') && args[i - 1] !== '-o' && args[i - 1] !== '+o' && !isOptionWithName(args[i - 1]),
    );
    if (first >= 0) state.positional = args.slice(first);
  }
  if (args.some((arg) => isHidden(arg) && end < 0)) state.positional = undefined;
};
/** `-euo pipefail`: the word after a bundle that ends in `o` is the name of an option. */
function isOptionWithName(arg: Field | undefined): boolean {
  return arg !== undefined && (arg.startsWith('-') || arg.startsWith('+')) && arg.endsWith('o');
}

const shift: Handler = ({ args, context }) => {
  const { state } = context;
  const count = args[0] === undefined ? 1 : isDigits(args[0]) ? Number(args[0]) : undefined;
  state.positional = count === undefined ? undefined : state.positional?.slice(count);
};

const letArithmetic: Handler = ({ args, context }) => {
  for (const arg of args) {
    checkArithmeticText(arg, context);
    const equals = arg.indexOf('=');
    if (equals > 0) context.state.set(arg.slice(0, equals).replaceAll(/[-+*/%&|^<> ]/g, ''), UNKNOWN);
  }
};

const printf: Handler = ({ args, context }) => {
  if (args[0] === undefined || !args[0].startsWith('-v')) return;
  const name = args[0] === '-v' ? (args[1] ?? '') : args[0].slice(2);
  checkNameText(name, context);
  if (isHidden(name)) context.state.forgetVariables();
  else context.state.set(name, UNKNOWN);
};

const test: Handler = ({ args, context }) => {
  args.forEach((arg, i) => {
    if (args[i - 1] === '-v' || args[i - 1] === '-R') checkNameText(arg, context);
  });
};

/** Binds names, keys or events to code or files that are not looked at. */
const rebinds: Handler = ({ args, context, name }) => {
  const binds = name === 'hash' ? args.some((arg) => arg.startsWith('-p') || arg.startsWith('--')) : args.length > 0;
  if (binds) context.recorder.undecided('alias');
};

const history: Handler = ({ args, context, name }) => {
  if (name === 'fc' && !args.includes('-l')) context.recorder.undecided('code');
};

/** `compgen -C` runs a command and `-W` expands its words, at once; `complete` does so at the next Tab. */
const completion: Handler = ({ args, context }) => {
  const options = parseOptions(args, { short: 'oAGWFCXPS' });
  for (const code of valuesOf(options, 'C')) runCode(code, { name: 'complete', args, context });
  for (const words of valuesOf(options, 'W'))
    if (isHidden(words) || words.includes('$') || words.includes('`')) context.recorder.undecided('code');
  if (valuesOf(options, 'F').length > 0) context.recorder.undecided('code');
};

const wait: Handler = ({ args, context }) => {
  for (const arg of args) checkNameText(arg, context);
};

const ulimit: Handler = () => undefined;

export const BUILTINS: readonly (readonly [string, Handler])[] = [
  ['eval', evaluate],
  ['exec', exec],
  ['command', command],
  ['builtin', command],
  ['source', source],
  ['.', source],
  ['trap', trap],
  ['alias', alias],
  ['cd', cd],
  ['chdir', cd],
  ['pushd', cd],
  ['popd', popd],
  ['export', declare],
  ['declare', declare],
  ['typeset', declare],
  ['local', declare],
  ['readonly', declare],
  ['read', readInto],
  ['mapfile', readInto],
  ['readarray', readInto],
  ['getopts', ({ args, context }) => context.state.set(args[1] ?? 'OPTARG', UNKNOWN)],
  ['unset', unset],
  ['set', set],
  ['shift', shift],
  ['let', letArithmetic],
  ['printf', printf],
  ['test', test],
  ['[', test],
  ['bind', rebinds],
  ['enable', rebinds],
  ['hash', rebinds],
  ['fc', history],
  ['history', history],
  ['compgen', completion],
  ['complete', completion],
  ['wait', wait],
  ['ulimit', ulimit],
  ...[
    ':',
    'true',
    'false',
    'echo',
    'return',
    'exit',
    'break',
    'continue',
    'jobs',
    'bg',
    'fg',
    'times',
    'umask',
    'type',
    'which',
    'pwd',
    'shopt',
    'logout',
    'disown',
    'suspend',
    'sleep',
    'seq',
    'yes',
    'basename',
    'dirname',
    'expr',
  ].map((name): readonly [string, Handler] => [name, () => undefined]),
];
