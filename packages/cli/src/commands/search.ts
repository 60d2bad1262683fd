import { didYouMean, escapeJson } from '@countersign/core';
import { openRecords, type RecordReader, SEARCH_SECTIONS, type SearchSection, type TextHit, textSearch } from '@countersign/core/sqlite';
import type { Command, Flags, Invocation } from '../command.ts';
import { ledgerPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { recordRow } from '../record-text.ts';
import { type Found, noteFaults, selected, Taken } from '../selected.ts';
import { criteriaOf, LIMIT_OPTION, limitOf, TIME_OPTIONS } from '../selection-options.ts';
import { fit } from '../table.ts';

export const search: Command = {
  name: 'search',
  summary: 'find a text in entries, arguments, reasons and results',
  positionals: [{ name: 'ledger', required: false }],
  options: [
    { name: 'query', kind: 'text', value: 'TEXT', about: 'what to look for: a part of the text, in any case; no pattern' },
    { name: 'in', kind: 'text', value: 'WHERE', about: `of ${SEARCH_SECTIONS.join(',')}; default all` },
    ...TIME_OPTIONS,
    LIMIT_OPTION,
  ],
  notes: [
    'Looks at names, texts, numbers and words of the entry itself and of the clear text beside it, and shows where it stands. What was redacted, withheld or erased cannot be found. Nothing is verified.',
  ],
  example: 'countersign search --query "q1.csv" --in args,result --since 3d',
  async run(invocation) {
    const { flags, output } = invocation;
    const find = finder(flags);
    const criteria = criteriaOf(flags, Date.now());
    const limit = limitOf(flags);
    const reader = openRecords(ledgerPath(invocation));
    try {
      const records = selected(reader, criteria, (done, total) => output.progress(done, total));
      const taken = new Taken(hitsIn(records, find), limit);
      await write(taken, reader, invocation);
      noteFaults(reader, output);
      if (taken.wasCut) output.note(`countersign: stopped after ${taken.count} entries (--limit); there are more`);
      return EXIT.OK;
    } finally {
      reader.close();
    }
  },
};

type Finder = ReturnType<typeof textSearch>;
type Hit = Found & { readonly hits: readonly TextHit[] };

function finder(flags: Flags): Finder {
  const query = flags.text('query');
  if (query === undefined) throw new UsageError('search needs --query TEXT', 'for example: countersign search --query refund');
  const given = flags.text('in')?.split(',');
  const sections = given?.map((name): SearchSection => {
    const known = SEARCH_SECTIONS.find((section) => section === name);
    if (known !== undefined) return known;
    throw new UsageError(`--in: unknown ${JSON.stringify(name)}${didYouMean(name, SEARCH_SECTIONS)}`, `use ${SEARCH_SECTIONS.join(', ')}`);
  });
  try {
    return textSearch(query, sections === undefined ? undefined : [...new Set(sections)]);
  } catch (error) {
    throw new UsageError(`--query: ${error instanceof Error ? error.message : String(error)}`, 'give a shorter one');
  }
}

function* hitsIn(records: Iterable<Found>, find: Finder): Generator<Hit> {
  for (const found of records) {
    const hits = find(found.facts, found.record.text);
    if (hits.length > 0) yield { ...found, hits };
  }
}

async function write(taken: Taken<Hit>, reader: RecordReader, { output }: Invocation): Promise<void> {
  if (output.json) {
    output.raw();
    let isOpen = await output.data('{"entries":[');
    for (const hit of taken) {
      if (!isOpen) return;
      isOpen = await output.data(`${taken.count === 1 ? '' : ','}\n${escapeJson(hitLine(hit))}`);
    }
    await output.data(`${taken.count === 0 ? '' : '\n'}],"count":${taken.count},"limited":${taken.wasCut}}\n`);
  } else if (output.isTerminal) {
    const numberChars = String(reader.size ?? 0).length;
    for (const hit of taken) {
      output.line(recordRow(hit.facts, output, numberChars));
      for (const each of hit.hits) output.line(hitRow(each, output));
    }
    output.line(
      taken.count === 0 ? 'nothing found' : output.style('dim', 'one of them: countersign show <number>; nothing here is verified'),
    );
  } else {
    output.raw();
    for (const hit of taken) if (!(await output.data(`${hitLine(hit)}\n`))) return;
  }
}

/** Pinned: one line of JSON per entry. */
function hitLine({ facts, hits }: Hit): string {
  const { index, leaf, kind, time = null, call = null } = facts;
  const places = hits.map(({ section, pointer, before, match, after }) => ({ in: section, pointer, before, match, after }));
  return JSON.stringify({ index, leaf, kind, time, call, hits: places });
}

/** `    args /path  …/srv/q1.csv…`, the text it was asked for in bold. */
function hitRow({ section, pointer, before, match, after }: TextHit, output: Output): string {
  const where = fit(`    ${section} ${safe(pointer)}`, Math.max(12, Math.floor(output.columns / 2)));
  const room = Math.max(8, output.columns - where.length - 2);
  const shown = fit(safe(match), room);
  const left = room - shown.length;
  const lead = safe(before).slice(-Math.floor(left / 2));
  const tail = left - lead.length > 1 ? fit(safe(after), left - lead.length) : '';
  return `${output.style('dim', where)}  ${left > 1 ? lead : ''}${output.style('bold', shown)}${tail}`;
}
