/**
 * What a person should look at before an agent reads a declaration. Heuristics: a flag says what a text looks like, the lack
 * of one says nothing.
 *
 * | flag           | |
 * |----------------|---|
 * | `ansi`         | terminal control that hides text or acts on the terminal |
 * | `hidden`       | characters nobody sees, where no language needs them |
 * | `imitates`     | a name that people could take for that of another tool, of this server or of another |
 * | `instructions` | text that speaks to the model in place of describing |
 * | `name`         | a name with characters nobody sees |
 * | `shadows`      | another server has a tool of this very name |
 */
import type { Json } from '../call.ts';
import { findAnsi } from '../detect/ansi.ts';
import { findHidden } from '../detect/hidden.ts';
import { findInstructions } from '../detect/instructions.ts';
import type { PinFlag } from '../ledger/entry.ts';

const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}\p{Zl}\p{Zp}\p{Co}]/u;

/** Those that show in the declaration itself, sorted. */
export function flagsOf(name: string, declaration: Json): readonly PinFlag[] {
  const strings: string[] = [];
  collect(declaration, strings);
  // As one text: what is split over descriptions is read as one by the model.
  const text = strings.join('\n');
  const flags: PinFlag[] = [];
  if (findAnsi(text).length > 0) flags.push('ansi');
  if (findHidden(text).length > 0) flags.push('hidden');
  if (findInstructions(text).length > 0) flags.push('instructions');
  if (UNSEEN.test(name)) flags.push('name');
  return flags;
}

/** Every string a model may be given: names of parameters and values of enums, too. */
function collect(value: Json, strings: string[]): void {
  if (typeof value === 'string') strings.push(value);
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) for (const item of value as readonly Json[]) collect(item, strings);
  else
    for (const [name, member] of Object.entries(value as { readonly [key: string]: Json })) {
      strings.push(name);
      collect(member, strings);
    }
}
