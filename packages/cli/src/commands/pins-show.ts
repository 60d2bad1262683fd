import type { PinState } from '@countersign/core';
import { type LedgerReader, readLedger } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { declarationDiff, declarationLines } from '../declaration-text.ts';
import { EXIT } from '../exit-codes.ts';
import { type Output, safe } from '../output.ts';
import { acceptable, declarationOf, findPin, flagsText, pinJson, pinName, pinWord, trustText } from '../pin-lookup.ts';
import { instant, span } from '../time.ts';

/** Enough of a digest to tell the few declarations of one tool apart. */
const DIGEST_CHARS = 12;
const FORGOTTEN = '(its clear text is not in the ledger any more)';

export const pinsShow: Command = {
  name: 'pins show',
  summary: 'show how a tool is declared, and what changed since it was trusted',
  positionals: [{ name: 'tool', required: true }],
  options: [],
  notes: [
    'The tool as `pins list` writes it: server/name. A server wrote the declaration: read it as you would read an attack. What looked like a secret in it was replaced.',
  ],
  example: 'countersign pins show files/read_file',
  async run({ io, output, flags, positionals }) {
    const reader = readLedger(configOf({ io, flags }).ledger.path);
    try {
      const state = findPin(reader.pins(), positionals[0] ?? '');
      output.result({ pin: { ...pinJson(state), declarations: declarationsJson(state, reader) } });
      for (const line of pinLines(state, reader, output)) output.line(line);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

/** By digest, those that are still there. */
function declarationsJson(state: PinState, reader: LedgerReader): Record<string, unknown> {
  const offers = [...(state.pinned === undefined ? [] : [state.pinned]), ...state.offered];
  return Object.fromEntries(
    offers.flatMap((offer) => {
      const declaration = declarationOf(reader, state, offer);
      return declaration === undefined ? [] : [[offer.digest, declaration]];
    }),
  );
}

function pinLines(state: PinState, reader: LedgerReader, output: Output): readonly string[] {
  const { pinned, offered, sinceMs } = state;
  const newest = offered.at(-1);
  const shown = acceptable(state);
  const word = pinWord(state);
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['by', trustText(state)],
    ['since', `${span(Date.now() - sinceMs)} ago, at ${instant(sinceMs)}`],
    ['pinned', pinned && `${pinned.digest}, entry ${pinned.entry.of + 1}`],
    ['offered', newest && `${newest.digest}, entry ${newest.entry.of + 1}, ${span(Date.now() - newest.atMs)} ago`],
    ['others', offered.length > 1 ? `${offered.length - 1} more declarations were offered since` : undefined],
    ['flags', flagsText(state)],
  ];
  return [
    `${output.style('bold', safe(pinName(state)))}  ${output.style(word === 'trusted' ? 'good' : 'bad', word)}`,
    ...facts.flatMap(([name, value]) => (value === undefined ? [] : [`  ${name.padEnd(8)} ${safe(value)}`])),
    ...changeLines(state, reader, output),
    '',
    newest === undefined ? 'declared as' : 'declared now as',
    ...indented(shownLines(state, reader)),
    ...adviceLines(state, shown?.digest),
  ];
}

/** What a person is about to accept, against what is trusted. */
export function changeLines(state: PinState, reader: LedgerReader, output: Output): readonly string[] {
  const newest = state.offered.at(-1);
  if (newest === undefined || state.pinned === undefined) return [];
  const [before, after] = [declarationOf(reader, state, state.pinned), declarationOf(reader, state, newest)];
  if (before === undefined || after === undefined) return ['', `what changed is not known ${FORGOTTEN}`];
  const diff = declarationDiff(before, after, output.narrowed(2));
  if (diff.length > 0) return ['', 'what changed', ...indented(diff)];
  return ['', output.style('warn', 'it changed only in what looks like a secret and was replaced')];
}

function shownLines(state: PinState, reader: LedgerReader): readonly string[] {
  const declaration = declarationOf(reader, state, acceptable(state));
  return declaration === undefined ? [FORGOTTEN] : declarationLines(declaration);
}

function adviceLines(state: PinState, digest: string | undefined): readonly string[] {
  if (digest === undefined || pinWord(state) === 'trusted') return [];
  return ['', `accept exactly this: countersign pins accept ${safe(pinName(state))} --digest ${digest.slice(0, DIGEST_CHARS)}`];
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`);
}
