/**
 * `texts()`, `decoded()`, `urls()` and `hosts()`: what stands anywhere in the arguments.
 *
 * | function        | gives                                                                                        |
 * |-----------------|----------------------------------------------------------------------------------------------|
 * | `texts(x)`      | every text in a value, keys included                                                          |
 * | `decoded(text)` | the text, and line by line what it holds in base64, hex, percent and unicode escapes            |
 * | `urls(x)`       | every URL in these texts, also in what they hold encoded                                        |
 * | `hosts(x)`      | every host that some program may read in these URLs; '?' for one in which none is read            |
 */
import type { Environment } from '@marcbachmann/cel-js';
import { CHARS_PER_STEP, remember, spend } from '../evaluation.ts';
import { decodedPieces } from './text/decode.ts';
import { textsIn } from './text/leaves.ts';
import { hostsIn, urlsIn } from './text/url-search.ts';

export const TEXT_WORDS: readonly string[] = ['texts', 'decoded', 'urls', 'hosts'];

export function registerTexts(environment: Environment): void {
  environment.registerFunction('texts(dyn): list<string>', (value: unknown) => [...textsIn(value)]);
  environment.registerFunction('decoded(string): string', (text: string) => {
    spend(text.length / CHARS_PER_STEP);
    return remember('decoded', text, () => [text, ...decodedPieces(text)].join('\n'));
  });
  environment.registerFunction('urls(dyn): list<string>', urlsIn);
  environment.registerFunction('hosts(dyn): list<string>', hostsIn);
}
