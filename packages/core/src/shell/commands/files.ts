/** Commands that remove, copy, move and change files. */
import { baseName, type Field, hasGlob, isHidden, isKnown, STAR } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { isVital, segmentsOf } from '../places.ts';
import {
  type Call,
  type Handler,
  has,
  type OptionSyntax,
  parseOptions,
  read,
  runInside,
  undecidedIfHidden,
  valuesOf,
  write,
} from './call.ts';

function remove(path: Field, { context }: Call): void {
  context.recorder.path('delete', path, context.state.places);
}

/** `*`, `dir/*`, `.`: everything there is in a folder. */
function isWholesale(path: Field): boolean {
  return baseName(path).includes(STAR) || path === '.' || path === './' || path === '..' || path === '../';
}

const rm: Handler = (call) => {
  const options = parseOptions(call.args);
  undecidedIfHidden(options, call);
  if (has(options, 'r', 'R', 'f', 'recursive', 'force') || options.operands.some(isWholesale)) call.context.recorder.find('destructive');
  for (const path of options.operands) remove(path, call);
};

const rmdir: Handler = (call) => {
  const options = parseOptions(call.args);
  undecidedIfHidden(options, call);
  for (const path of options.operands) remove(path, call);
};

/** shred, wipe, srm, wipefs, mkfs: nothing is left, whatever the options. */
const wipe: Handler = (call) => {
  call.context.recorder.find('destructive');
  for (const path of parseOptions(call.args, { short: 'nsitLoU' }).operands) remove(path, call);
};

const truncate: Handler = (call) => {
  call.context.recorder.find('destructive');
  for (const path of parseOptions(call.args, { short: 'sr', long: ['size', 'reference'] }).operands) write(path, call);
};

/** Makes a hole of what was there, or zeros; without such an option it only takes room. */
const fallocate: Handler = (call) => {
  const options = parseOptions(call.args, { short: 'lo', long: ['length', 'offset'] });
  undecidedIfHidden(options, call);
  if (has(options, 'p', 'punch-hole', 'z', 'zero-range', 'c', 'collapse-range')) call.context.recorder.find('destructive');
  for (const path of options.operands) write(path, call);
};

const COPY: OptionSyntax = { short: 'tSZ', long: ['target-directory', 'suffix', 'context', 'backup', 'reflink', 'sparse'] };

const copy: Handler = (call) => {
  const options = parseOptions(call.args, COPY);
  const isMove = call.name === 'mv' || call.name === 'move' || call.name === 'rename';
  const targets = valuesOf(options, 't', 'target-directory');
  const sources = targets.length > 0 ? options.operands : options.operands.slice(0, -1);
  const target = targets[0] ?? options.operands.at(-1);
  for (const path of sources) {
    read(path, call);
    if (isMove) moveAway(path, call);
  }
  if (options.operands.length > 0 && target !== undefined) {
    copyTo(target, sources, call);
    if (isMove && target === '/dev/null') call.context.recorder.find('destructive');
    // The file in a folder is what is written: cp key ~/.ssh/ makes ~/.ssh/key.
    if (sources.some((path) => path === '/dev/null' || path === '/dev/zero')) call.context.recorder.find('destructive');
  }
  if (options.hidden && isMove) call.context.recorder.undecided('argument');
};

/** Moving away removes from where it was; a vital place is lost. */
function moveAway(path: Field, { context }: Call): void {
  if (isVital(segmentsOf(path))) context.recorder.find('destructive');
  if (isHidden(path)) context.recorder.misses('deletes');
}

function copyTo(target: Field, sources: readonly Field[], call: Call): void {
  write(target, call);
  noteOtherName(sources, call);
  for (const path of sources) {
    const name = baseName(path);
    if (name !== '' && isKnown(name) && isKnown(target)) noteInFolder(target, name, call);
  }
}

/** The path a copy would have in a folder, for what it may mean; the list of writes names the target only. */
function noteInFolder(folder: Field, name: Field, { context }: Call): void {
  const path = folder.endsWith('/') ? folder + name : `${folder}/${name}`;
  for (const effect of context.recorder.effectsOf('append', path)) context.recorder.find(effect);
}

/** A program of the system under another name: the name tells no more what it does. */
function noteOtherName(sources: readonly Field[], { context }: Call): void {
  if (sources.some((path) => /^(?:\/usr)?(?:\/local)?\/s?bin\//.test(path))) context.recorder.undecided('alias');
}

const link: Handler = (call) => {
  const options = parseOptions(call.args, COPY);
  undecidedIfHidden(options, call);
  const target = options.operands.length > 1 ? options.operands.at(-1) : undefined;
  for (const path of target === undefined ? options.operands : options.operands.slice(0, -1)) read(path, call);
  noteOtherName(options.operands.slice(0, -1), call);
  if (target !== undefined) write(target, call);
};

const install: Handler = (call) => {
  const options = parseOptions(call.args, {
    short: 'gomtS',
    long: ['group', 'owner', 'mode', 'target-directory', 'suffix', 'strip-program'],
  });
  undecidedIfHidden(options, call);
  checkMode(valuesOf(options, 'm', 'mode')[0] ?? '', call);
  const targets = valuesOf(options, 't', 'target-directory');
  if (has(options, 'd', 'directory')) for (const path of options.operands) write(path, call);
  else {
    const sources = targets.length > 0 ? options.operands : options.operands.slice(0, -1);
    for (const path of sources) read(path, call);
    const target = targets[0] ?? options.operands.at(-1);
    if (sources.includes('/dev/null')) call.context.recorder.find('destructive');
    if (target !== undefined) copyTo(target, sources, call);
  }
};

const tee: Handler = (call) => {
  const options = parseOptions(call.args);
  for (const path of options.operands) {
    const use = has(options, 'a', 'append') ? 'append' : 'write';
    call.context.recorder.path(use, path, call.context.state.places);
    call.context.recorder.made(path);
    if (isHidden(path)) call.context.recorder.undecided('argument');
    if (call.context.recorder.hasFound('network')) call.context.recorder.download(path);
  }
};

const dd: Handler = (call) => {
  const { recorder } = call.context;
  if (call.args.some(isHidden)) recorder.undecided('argument');
  for (const arg of call.args) {
    if (arg.startsWith('of=')) {
      write(arg.slice(3), call);
      if (arg.startsWith('of=/dev/') && !HARMLESS_OUTPUTS.has(arg.slice(3))) recorder.find('destructive');
    } else if (arg.startsWith('if=')) read(arg.slice(3), call);
  }
};
const HARMLESS_OUTPUTS: ReadonlySet<string> = new Set(['/dev/null', '/dev/stdout', '/dev/stderr', '/dev/tty']);

const chmod: Handler = (call) => {
  const { recorder, state } = call.context;
  const options = parseOptions(call.args, { long: ['reference'] });
  undecidedIfHidden(options, call);
  // `chmod -x file`: the mode may look like an option.
  const [mode = '', ...paths] = options.operands;
  const isOwner = call.name !== 'chmod';
  if (!isOwner) checkMode(mode, call);
  for (const arg of call.args) if (!isOwner && arg.startsWith('+')) checkMode(arg, call);
  const touched = paths.length > 0 ? paths : options.operands;
  for (const path of touched) {
    recorder.path('append', path, state.places);
    if (has(options, 'R', 'recursive') && (isVital(segmentsOf(path)) || isWholesaleRoot(path))) recorder.find('destructive');
  }
  if (isOwner && call.name === 'chown') checkOwner(mode, call);
};

function isWholesaleRoot(path: Field): boolean {
  return path === '~' || path === '~/' || path === '/' || path.startsWith(`/${STAR}`) || path.startsWith('..');
}

/** Set-user-id lets anybody run it as its owner. */
function checkMode(mode: Field, { context }: Call): void {
  const isNumber = mode.length >= 4 && [...mode].every((digit) => digit >= '0' && digit <= '7');
  const special = isNumber ? Number.parseInt(mode.slice(0, -3), 8) : 0;
  // 1 is the sticky bit of /tmp; 2 and 4 run as a group or user.
  if ((special & 6) !== 0 || (!isNumber && mode.includes('s') && !mode.startsWith('-'))) context.recorder.find('privileged');
  if (isHidden(mode)) context.recorder.undecided('argument');
}

function checkOwner(owner: Field, { context }: Call): void {
  if (owner === 'root' || owner.startsWith('root:') || owner === '0' || owner.startsWith('0:')) context.recorder.find('privileged');
}

const setfacl: Handler = (call) => {
  call.context.recorder.find('privileged');
  mentionPaths(call.args, call.context);
};

const make: Handler = (call) => {
  for (const path of parseOptions(call.args, { short: 'mptdrZ' }).operands)
    call.context.recorder.path('append', path, call.context.state.places);
};

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

/** The whole home folder or system: whatever secret there is lies in it. */
function isBroad(path: Field): boolean {
  const plain = path.endsWith('/') && path.length > 1 ? path.slice(0, -1) : path;
  return ['~', '/', '/home', '/root', '/etc', '/Users'].includes(plain);
}
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

const rename: Handler = (call) => {
  // Perl's rename takes code.
  const [first = ''] = parseOptions(call.args).operands;
  if (/^(s|y|tr)\b/.test(first) || first.includes('$') || !isKnown(first)) call.context.recorder.undecided('code');
  mentionPaths(call.args, call.context);
};

const READER_NAMES =
  'cat head tail less more bat batcat nl tac rev cut paste join fold fmt pr column comm cmp diff diff3 sdiff colordiff wc od xxd hexdump hd strings file stat ls dir vdir tree du df md5sum sha1sum sha224sum sha256sum sha384sum sha512sum shasum cksum sum b2sum base64 base32 zcat bzcat xzcat zless gunzip-c readlink realpath look tsort expand unexpand iconv nm objdump ldd otool eza exa lsd'.split(
    ' ',
  );

export const FILES: readonly (readonly [string, Handler])[] = [
  ['rm', rm],
  ['del', rm],
  ['erase', rm],
  ['rd', wipe],
  ['remove-item', wipe],
  ['ri', wipe],
  ['rimraf', wipe],
  ['trash', rmdir],
  ['unlink', rmdir],
  ['rmdir', rmdir],
  ['shred', wipe],
  ['wipe', wipe],
  ['srm', wipe],
  ['scrub', wipe],
  ['wipefs', wipe],
  ['blkdiscard', wipe],
  ['truncate', truncate],
  ['fallocate', fallocate],
  ['cp', copy],
  ['copy', copy],
  ['mv', copy],
  ['gcp', copy],
  ['gmv', copy],
  ['grm', rm],
  ['ln', link],
  ['install', install],
  ['tee', tee],
  ['sponge', tee],
  ['dd', dd],
  ['chmod', chmod],
  ['chown', chmod],
  ['chgrp', chmod],
  ['setfacl', setfacl],
  ['setcap', setfacl],
  ['touch', make],
  ['mkdir', make],
  ['mknod', make],
  ['mkfifo', make],
  ['sort', sort],
  ['uniq', uniq],
  ['split', split],
  ['csplit', split],
  ['tar', tar],
  ['gtar', tar],
  ['bsdtar', tar],
  ['zip', zip],
  ['rename', rename],
  ['prename', rename],
  ...READER_NAMES.map((name): readonly [string, Handler] => [name, reader]),
];
