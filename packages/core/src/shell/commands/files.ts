/** Commands that remove, copy, move and change files. */
import { baseName, type Field, isHidden, isKnown, STAR } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { isVital, segmentsOf } from '../places.ts';
import { type Call, type Handler, has, type OptionSyntax, parseOptions, read, undecidedIfHidden, valuesOf, write } from './call.ts';

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

const rename: Handler = (call) => {
  // Perl's rename takes code.
  const [first = ''] = parseOptions(call.args).operands;
  if (/^(s|y|tr)\b/.test(first) || first.includes('$') || !isKnown(first)) call.context.recorder.undecided('code');
  mentionPaths(call.args, call.context);
};

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
  ['rename', rename],
  ['prename', rename],
];
