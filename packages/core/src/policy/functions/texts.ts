/**
 * `texts()`, `decoded()`, `urls()` and `hosts()`: what stands anywhere in the arguments.
 *
 * | function        | gives                                                                                        |
 * |-----------------|----------------------------------------------------------------------------------------------|
 * | `texts(x)`      | every text in a value, keys included                                                          |
 * | `decoded(text)` | the text, and line by line what it holds in base64, hex, percent and unicode escapes            |
 * | `urls(x)`       | every URL in these texts, also in what they hold encoded                                        |
 * | `hosts(x)`      | every host that some program may read in these URLs; '?' for one in which none is read            |
 * | `splitSecrets(x)` | kinds of secrets that are seen only when neighbouring values are read together, as `findings` has kinds |
 */
import type { Environment } from '@marcbachmann/cel-js';
import { type TextRules, textRules } from '../../redact/scan.ts';
import { hideSplit } from '../../redact/split.ts';
import { CHARS_PER_STEP, remember, spend } from '../evaluation.ts';
import { decodedPieces } from './text/decode.ts';
import { textsIn, valuesIn } from './text/leaves.ts';
import { hostsIn, urlsIn } from './text/url-search.ts';

export const TEXT_WORDS: readonly string[] = ['texts', 'decoded', 'urls', 'hosts', 'splitSecrets'];

export function registerTexts(environment: Environment): void {
  environment.registerFunction('texts(dyn): list<string>', (value: unknown) => [...textsIn(value)]);
  environment.registerFunction('decoded(string): string', (text: string) => {
    spend(text.length / CHARS_PER_STEP);
    return remember('decoded', text, () => [text, ...decodedPieces(text)].join('\n'));
  });
  environment.registerFunction('urls(dyn): list<string>', urlsIn);
  environment.registerFunction('hosts(dyn): list<string>', (given: unknown) =>
    typeof given === 'object' && given !== null ? remember('hosts', given, () => hostsIn(given)) : hostsIn(given),
  );
  environment.registerFunction('splitSecrets(dyn): list<string>', splitSecrets);
}

let rules: TextRules | undefined;

/**
 * The redactor joins the items of a list only: members of an object are fields with meanings of their own, and hiding parts of two
 * because they look like a secret together would spoil ordinary calls. A rule may be stricter, and ask.
 */
function splitSecrets(value: unknown): readonly string[] {
  const values = [...valuesIn(value)];
  spend(values.reduce((sum, text) => sum + (text?.length ?? 0), 0) / CHARS_PER_STEP);
  const kinds = new Set<string>();
  rules ??= textRules();
  hideSplit(values, rules, (_, kind) => kinds.add(kind));
  return [...kinds];
}
