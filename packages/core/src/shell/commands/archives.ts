/** Commands that put files into one and take them out again. */
import { hasGlob, isKnown } from '../field.ts';
import { isBroad } from '../places.ts';
import { type Handler, has, parseOptions, read, undecidedIfHidden, valuesOf, write } from './call.ts';

const TAR_PROGRAMS = [
  'I',
  'use-compress-program',
  'to-command',
  'info-script',
  'new-volume-script',
  'F',
  'rsh-command',
  'rmt-command',
  'checkpoint-action',
];

const tar: Handler = (call) => {
  const { recorder, state } = call.context;
  const [first = '', ...rest] = call.args;
  // The old form has no dash: tar xzf file.
  const args =
    first !== '' && !first.startsWith('-') && !hasGlob(first) && isKnown(first) && [...first].every((c) => c >= 'A' && c <= 'z')
      ? [`-${first}`, ...rest]
      : call.args;
  const options = parseOptions(args, {
    short: 'fCITXbgHKLNVF',
    long: [
      'file',
      'directory',
      'use-compress-program',
      'to-command',
      'exclude',
      'checkpoint-action',
      'info-script',
      'new-volume-script',
      'rsh-command',
      'rmt-command',
      'transform',
      'strip-components',
      'files-from',
      'exclude-from',
      'format',
      'owner',
      'group',
      'mtime',
      'sort',
    ],
  });
  undecidedIfHidden(options, call);
  for (const program of valuesOf(options, ...TAR_PROGRAMS)) {
    const code = program.startsWith('exec=') ? program.slice(5) : program;
    if (has(options, 'checkpoint-action') && !program.startsWith('exec=') && !COMPRESSORS.has(program.split(' ')[0] ?? '')) continue;
    if (isKnown(code)) call.context.engine.runText(code, { ...call.context, state: state.fork() });
    else recorder.runsUnknown('script');
  }
  const archives = valuesOf(options, 'f', 'file');
  for (const folder of valuesOf(options, 'C', 'directory'))
    recorder.path(has(options, 'c', 'create') ? 'read' : 'append', folder, state.places);
  const isWriting = has(options, 'c', 'create', 'r', 'append', 'u', 'update');
  for (const archive of archives) {
    if (isWriting) write(archive, call);
    else read(archive, call);
    if (archive.includes(':') && !archive.startsWith('/') && !archive.startsWith('.')) recorder.find('network');
  }
  if (has(options, 'P', 'absolute-names')) recorder.find('destructive');
  if (has(options, 'remove-files', 'recursive-unlink', 'unlink-first')) recorder.find('destructive');
  if (!isWriting) return;
  for (const path of options.operands) {
    read(path, call);
    if (isBroad(path)) recorder.find('credentials');
  }
};
const COMPRESSORS: ReadonlySet<string> = new Set(['gzip', 'pigz', 'zstd', 'xz', 'bzip2', 'lz4']);

/** `-rm`: the letters before are none that take the rest of the word, as `-x` does. */
const BUNDLED_MOVE = /^-[^-bnitxP]*m/;
const BUNDLED_TEST = /^-[^-bnitxP]+TT/;
const zip: Handler = (call) => {
  const options = parseOptions(call.args, { short: 'bnitxP', words: true, long: ['TT', 'unzip-command', 'x', 'i', 'P', 'b', 'n', 't'] });
  undecidedIfHidden(options, call);
  for (const code of valuesOf(options, 'TT', 'unzip-command')) {
    if (isKnown(code)) call.context.engine.runText(code, call.context);
    else call.context.recorder.runsUnknown('script');
  }
  if (options.names.some((name) => name.startsWith('TT')) || call.args.some((arg) => BUNDLED_TEST.test(arg)))
    call.context.recorder.undecided('code');
  if (has(options, 'move') || call.args.some((arg) => BUNDLED_MOVE.test(arg))) call.context.recorder.find('destructive');
  const [archive, ...paths] = options.operands;
  if (archive !== undefined) write(archive, call);
  for (const path of paths) {
    read(path, call);
    if (isBroad(path)) call.context.recorder.find('credentials');
  }
};

export const ARCHIVES: readonly (readonly [string, Handler])[] = [
  ['tar', tar],
  ['gtar', tar],
  ['bsdtar', tar],
  ['zip', zip],
];
