/**
 * `shell(text)`: what a shell command would do, judged from its text. A list of texts is a command whose words no shell reads.
 *
 * | member              | gives                                                                                   |
 * |---------------------|-----------------------------------------------------------------------------------------|
 * | `undecided`         | whether the text does not tell everything it would run; `reasons` says why               |
 * | `destructive`, `network`, `privileged`, `persistence`, `downloadsAndRuns`, `credentials` | whether it does, or cannot be excluded to |
 * | `found`             | those of the six that the text shows for certain                                        |
 * | `commands`          | names of everything that runs                                                            |
 * | `reads`, `writes`, `deletes`, `paths`, `hosts`, `scripts` | what it names                                       |
 * | `incomplete`        | names of lists that miss something, because a word is not known                          |
 *
 * A list that misses something has no answer for `exists` nor for `all`: reading it is a fault, unless `undecided` or
 * `incomplete` was asked before.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { analyzeArguments, analyzeShell, mayBe, type ShellAnalysis } from '../../shell/index.ts';
import { ConditionFault } from '../condition-value.ts';
import { CHARS_PER_STEP, remember, spend } from '../evaluation.ts';

export const SHELL_WORDS: readonly string[] = ['shell'];

/** An analysis costs a step per so many characters: it looks at each more than once. */
const CHARS_PER_SHELL_STEP = CHARS_PER_STEP / 16;

export function registerShell(environment: Environment): void {
  const list = 'list<string>';
  const fields = {
    undecided: 'bool',
    destructive: 'bool',
    network: 'bool',
    privileged: 'bool',
    persistence: 'bool',
    downloadsAndRuns: 'bool',
    credentials: 'bool',
    reasons: list,
    found: list,
    incomplete: list,
    commands: list,
    reads: list,
    writes: list,
    deletes: list,
    paths: list,
    hosts: list,
    scripts: list,
  };
  environment.registerType('Shell', { ctor: ShellValue, fields });
  environment.registerFunction('shell(string): Shell', (text: string) => new ShellValue(shellAnalysis(text)));
  environment.registerFunction('shell(list): Shell', (words: readonly unknown[]) => {
    const texts = words.map((word) => {
      if (typeof word !== 'string') throw new ConditionFault('shell() needs a text, or a list of texts');
      return word;
    });
    return remember('shell-words', JSON.stringify(texts), () => {
      spend(1 + texts.reduce((total, text) => total + text.length + 1, 0) / CHARS_PER_SHELL_STEP);
      return new ShellValue(analyzeArguments(texts));
    });
  });
  environment.registerOperator('Shell == Shell', () => {
    throw new ConditionFault('commands are compared by what they do, such as commands or writes');
  });
}

/** The analysis of a text, made once per call. */
export function shellAnalysis(text: string): ShellAnalysis {
  return remember('shell', text, () => {
    spend(1 + text.length / CHARS_PER_SHELL_STEP);
    return analyzeShell(text);
  });
}

/** An analysis as conditions see it: what is not known is never false, and a list that misses something is not shown. */
class ShellValue {
  readonly #analysis: ShellAnalysis;

  constructor(analysis: ShellAnalysis) {
    this.#analysis = analysis;
  }
  get undecided(): boolean {
    return this.#analysis.undecided;
  }
  get reasons(): readonly string[] {
    return this.#analysis.reasons;
  }
  get found(): readonly string[] {
    return this.#analysis.found;
  }
  get incomplete(): readonly string[] {
    return this.#analysis.incomplete;
  }
  get destructive(): boolean {
    return mayBe(this.#analysis, 'destructive');
  }
  get network(): boolean {
    return mayBe(this.#analysis, 'network');
  }
  get privileged(): boolean {
    return mayBe(this.#analysis, 'privileged');
  }
  get persistence(): boolean {
    return mayBe(this.#analysis, 'persistence');
  }
  get downloadsAndRuns(): boolean {
    return mayBe(this.#analysis, 'downloadsAndRuns');
  }
  get credentials(): boolean {
    return mayBe(this.#analysis, 'credentials');
  }
  get commands(): readonly string[] {
    if (this.#analysis.undecided) throw new ConditionFault('the commands of this text are undecided: ask for undecided first');
    return this.#analysis.commands;
  }
  get reads(): readonly string[] {
    return this.#list('reads');
  }
  get writes(): readonly string[] {
    return this.#list('writes');
  }
  get deletes(): readonly string[] {
    return this.#list('deletes');
  }
  get paths(): readonly string[] {
    return this.#list('paths');
  }
  get hosts(): readonly string[] {
    return this.#list('hosts');
  }
  get scripts(): readonly string[] {
    return this.#list('scripts');
  }

  #list(name: 'reads' | 'writes' | 'deletes' | 'paths' | 'hosts' | 'scripts'): readonly string[] {
    if (this.#analysis.undecided || this.#analysis.incomplete.includes(name)) {
      throw new ConditionFault(`the ${name} of this command are not all known: ask for undecided and incomplete first`);
    }
    return this.#analysis[name];
  }
}
