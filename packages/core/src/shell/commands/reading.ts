/** Commands that read their operands, and show, count, sort or cut what is in them. */
import { isKnown } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { isBroad } from '../places.ts';
import { type Handler, type OptionSyntax, parseOptions, read, runInside, undecidedIfHidden, valuesOf, write } from './call.ts';

/** Programs that read their operands and nothing else. */
const reader: Handler = (call) => {
  const { recorder } = call.context;
  const options = parseOptions(call.args, READERS.get(call.name) ?? {});
  for (const path of options.operands) {
    read(path, call);
    if (isBroad(path) && RECURSIVE.has(call.name)) recorder.find('credentials');
  }
  mentionPaths(
    call.args.filter((arg) => arg.startsWith('-')),
    call.context,
  );
};

const RECURSIVE: ReadonlySet<string> = new Set(['scp', 'zip', '7z']);

const READERS: ReadonlyMap<string, OptionSyntax> = new Map<string, OptionSyntax>([
  ['head', { short: 'nc', long: ['lines', 'bytes'] }],
  ['tail', { short: 'ncs', long: ['lines', 'bytes', 'pid', 'sleep-interval'] }],
  ['cut', { short: 'bcdf', long: ['bytes', 'characters', 'delimiter', 'fields', 'output-delimiter'] }],
  ['stat', { short: 'cf', long: ['format', 'printf'] }],
  ['wc', { long: ['files0-from'] }],
  ['od', { short: 'AjNtwS' }],
  ['xxd', { short: 'bcglos' }],
  ['hexdump', { short: 'efns' }],
  ['strings', { short: 'noTe' }],
  ['diff', { short: 'UCIxX', long: ['unified', 'context', 'exclude', 'label'] }],
  ['ls', { short: 'wTI', long: ['ignore', 'hide', 'width', 'block-size', 'color', 'sort', 'time-style'] }],
  ['tree', { short: 'LPIoH' }],
  ['du', { short: 'dBtX', long: ['max-depth', 'exclude', 'block-size'] }],
  ['bat', { short: 'lrHm', long: ['language', 'line-range', 'style', 'theme'] }],
  ['fold', { short: 'w' }],
  ['column', { short: 'stcoNT' }],
  ['paste', { short: 'd' }],
  ['join', { short: '12atejo' }],
  ['nl', { short: 'bdfhilnsvw' }],
  ['base64', { short: 'wio' }],
  ['fmt', { short: 'w' }],
  ['pr', { short: 'hlow' }],
  ['comm', {}],
  ['cmp', { short: 'in' }],
]);

const sort: Handler = (call) => {
  const options = parseOptions(call.args, {
    short: 'koStT',
    long: [
      'key',
      'output',
      'field-separator',
      'buffer-size',
      'temporary-directory',
      'compress-program',
      'parallel',
      'sort',
      'files0-from',
      'batch-size',
      'random-source',
    ],
  });
  for (const path of options.operands) read(path, call);
  for (const path of valuesOf(options, 'o', 'output')) write(path, call);
  for (const program of valuesOf(options, 'compress-program')) runInside([program], call);
  undecidedIfHidden(options, call);
};

const uniq: Handler = (call) => {
  const [input, output] = parseOptions(call.args, {
    short: 'fsw',
    long: ['skip-fields', 'skip-chars', 'check-chars', 'group', 'all-repeated'],
  }).operands;
  if (input !== undefined) read(input, call);
  if (output !== undefined) write(output, call);
};

const split: Handler = (call) => {
  const options = parseOptions(call.args, {
    short: 'abCln',
    long: ['suffix-length', 'bytes', 'line-bytes', 'lines', 'number', 'filter', 'additional-suffix', 'separator'],
  });
  undecidedIfHidden(options, call);
  for (const code of valuesOf(options, 'filter')) {
    if (isKnown(code)) call.context.engine.runText(code, call.context);
    else call.context.recorder.runsUnknown('script');
  }
  if (options.operands[0] !== undefined) read(options.operands[0], call);
};

const READER_NAMES =
  'cat head tail less more bat batcat nl tac rev cut paste join fold fmt pr column comm cmp diff diff3 sdiff colordiff wc od xxd hexdump hd strings file stat ls dir vdir tree du df md5sum sha1sum sha224sum sha256sum sha384sum sha512sum shasum cksum sum b2sum base64 base32 zcat bzcat xzcat zless gunzip-c readlink realpath look tsort expand unexpand iconv nm objdump ldd otool eza exa lsd'.split(
    ' ',
  );

export const READING: readonly (readonly [string, Handler])[] = [
  ['sort', sort],
  ['uniq', uniq],
  ['split', split],
  ['csplit', split],
  ...READER_NAMES.map((name): readonly [string, Handler] => [name, reader]),
];
