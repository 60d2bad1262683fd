/**
 * What a call does, whatever its tool and its arguments are called: likely places, found by names and by looks.
 *
 * | function                     | gives                                                                            |
 * |------------------------------|----------------------------------------------------------------------------------|
 * | `named(tool, ['send', ...])` | whether one of these is a word of the name: `sendMail`, `send_mail`, `mail-send` |
 * | `commands(tool, args)`       | texts that a shell will run; a list of words becomes one command                 |
 * | `queries(tool, args)`        | texts that a database will run                                                   |
 * | `runs(tool, args)`           | names of the programs its commands are seen to run                               |
 * | `executes(tool, args)`       | files whose content its commands are seen to run                                 |
 * | `paths(tool, args)`          | texts that name files, also in commands                                          |
 * | `writes(tool, args)`         | the same of what a call changes                                                  |
 * | `scripts(tool, args)`        | shell scripts that a call writes into a file                                     |
 * | `targets(tool, args)`        | URLs the call goes to, also by a command; not those in what it says               |
 * | `codes(tool, args)`          | code of other languages that a tool runs                                         |
 * | `sends(tool, args)`          | whether the call seems to bring something to somebody else                       |
 * | `recipients(args)`           | addresses of mail and invitations, in lower case                                 |
 * | `amounts(args)`              | numbers under names of amounts                                                   |
 * | `payees(args)`               | accounts, wallets and names of those who get money                               |
 *
 * These are hints for rules that ask or label: a place they do not know is not found. A rule for a tool you know reads its
 * argument by name.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { ConditionFault } from '../condition-value.ts';
import { spend } from '../evaluation.ts';
import {
  amountsIn,
  codesIn,
  commandsIn,
  executesIn,
  once,
  pathsIn,
  payeesIn,
  queriesIn,
  recipientsIn,
  runsIn,
  scriptsIn,
  sendsOut,
  targetsIn,
  toolWordsOf,
  writesIn,
} from './call/finders.ts';

export const CALL_WORDS: readonly string[] = [
  'named',
  'commands',
  'queries',
  'paths',
  'writes',
  'runs',
  'executes',
  'scripts',
  'targets',
  'codes',
  'sends',
  'recipients',
  'amounts',
  'payees',
];

export function registerCall(environment: Environment): void {
  environment.registerFunction('named(string, list): bool', (name: string, words: readonly unknown[]) => isNamed(name, words));
  const ofTool: readonly (readonly [string, (tool: string, args: unknown) => readonly string[]])[] = [
    ['commands', commandsIn],
    ['queries', queriesIn],
    ['paths', pathsIn],
    ['writes', writesIn],
    ['runs', runsIn],
    ['executes', executesIn],
    ['scripts', scriptsIn],
    ['targets', targetsIn],
    ['codes', codesIn],
  ];
  for (const [name, find] of ofTool)
    environment.registerFunction(`${name}(string, dyn): list<string>`, (tool: string, args: unknown) => once(name, tool, args, find));
  environment.registerFunction('sends(string, dyn): bool', (tool: string, args: unknown) => once('sends', tool, args, sendsOut));
  environment.registerFunction('recipients(dyn): list<string>', (args: unknown) => once('recipients', '', args, () => recipientsIn(args)));
  environment.registerFunction('payees(dyn): list<string>', (args: unknown) => once('payees', '', args, () => payeesIn(args)));
  environment.registerFunction('amounts(dyn): list<double>', (args: unknown) => once('amounts', '', args, () => amountsIn(args)));
}

function isNamed(name: string, words: readonly unknown[]): boolean {
  spend(1 + words.length / 16);
  const own = toolWordsOf(name);
  return words.some((word) => {
    if (typeof word !== 'string') throw new ConditionFault('named() takes a list of words');
    return own.includes(word);
  });
}
