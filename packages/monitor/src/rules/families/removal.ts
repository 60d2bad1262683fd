/** Recursive removal, and many files deleted. */

import { type Folders } from '../folders.ts';
import { folderOf, isUnder, normalPath, passes } from '../path-text.ts';
import { type Program, programName } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { Finding, RuleFamily, Setting } from '../rule.ts';
import type { Seen, Touch } from '../seen.ts';
import { EventWindow, NameWindow, RecentNames } from '../window.ts';

export const REMOVAL: RuleFamily = {
  rules: [
    {
      id: 'recursive-removal',
      title: 'Recursive removal',
      explanation:
        '`rm -r`, `find -delete`, `shred` and their like on a folder outside of temporary folders and the workspace, on the workspace as a whole or on its `.git`. Under a predecessor scope: `rm -r` of anything outside of `/tmp`.',
      levels: ['KILL'],
    },
    {
      id: 'disk-overwrite',
      title: 'A disk written over',
      explanation: '`mkfs`, `wipefs`, `blkdiscard`, a partition editor, or `dd` and a shell that write to a disk itself.',
      levels: ['KILL'],
    },
    {
      id: 'recursive-rights',
      title: 'Rights or owners changed recursively',
      explanation: '`chmod -R`, `chown -R`, `chattr -R` or `setfacl -R` on a folder outside of temporary folders and the workspace.',
      levels: ['HALT'],
    },
  ],
  kinds: ['exec'],
  begin({ folders, literal }) {
    return {
      judge({ programs, activity: { action, actor } }, found) {
        if (programs === undefined || action.kind !== 'exec') return;
        const cwd = action.cwd ?? actor?.cwd;
        for (const program of programs.all) {
          if (overwritesDisk(program)) found({ rule: 'disk-overwrite', level: 'KILL', reason: `${program.name} writes over a disk` });
          const changed = changedBy(program)
            .map((target) => isTooFar(target, cwd, folders, false))
            .find((reason) => reason !== undefined);
          if (changed !== undefined) found({ rule: 'recursive-rights', level: 'HALT', reason: `${program.name} changes ${changed}` });
          for (const target of removedBy(program, literal)) {
            const reason = isTooFar(target, cwd, folders, literal);
            if (reason !== undefined) {
              found({ rule: 'recursive-removal', level: 'KILL', reason: `${program.name} removes ${reason}` });
              return;
            }
          }
        }
      },
    };
  },
};

/** The folders a program would remove with all that is in them. Undefined: one that is not known. */
function removedBy({ name, words }: Program, literal: boolean): readonly (string | undefined)[] {
  const args = words.slice(1);
  const end = args.indexOf('--');
  const options = (end < 0 ? args : args.slice(0, end)).filter((word): word is string => word?.startsWith('-') === true);
  const operands = [
    ...(end < 0 ? args : args.slice(0, end)).filter((word) => word?.startsWith('-') !== true),
    ...(end < 0 ? [] : args.slice(end + 1)),
  ];
  if (name === 'rm')
    return options.some((option) => /^-[a-zA-Z]*[rR]|^--r(?:ecursive|ecursiv|ecursi|ecurs|ecur|ecu|ec|e)?$/.test(option)) ? operands : [];
  if (literal) return [];
  if (name === 'rimraf' || name === 'rmtree' || name === 'trash' || name === 'trash-put') return operands;
  if (name === 'find' || name === 'fd') {
    if (!args.some((word) => word === '-delete' || word === '-exec' || word === '-execdir' || word === '-ok')) return [];
    const removes =
      args.includes('-delete') ||
      args.some((word) => word === 'rm' || word?.endsWith('/rm') === true || word === 'shred' || word === 'unlink');
    const first = args.findIndex((word) => word?.startsWith('-') === true || word === '(' || word === '!');
    const places = first < 0 ? args : args.slice(0, first);
    return removes ? (places.length === 0 ? ['.'] : places) : [];
  }
  if (name === 'shred' || name === 'wipe' || name === 'srm') return operands;
  if (name === 'rsync' && options.some((option) => option.startsWith('--del')))
    return operands.slice(-1).filter((word) => word?.includes(':') !== true);
  return [];
}

const DISK = /^(?:of=)?\/dev\/(?:sd[a-z]|hd[a-z]|vd[a-z]|xvd[a-z]|nvme\d|mmcblk\d|r?disk\d|md\d|dm-\d|mapper\/|loop\d)/;
const DISK_TOOLS = /^(?:mkfs(?:\.\w+)?|mke2fs|wipefs|blkdiscard|fdisk|sfdisk|sgdisk|gdisk|parted|newfs\w*)$/;

function overwritesDisk({ name, words }: Program): boolean {
  const args = words.slice(1);
  if (name === 'dd') return args.some((word) => word?.startsWith('of=') === true && DISK.test(word));
  if (name === 'diskutil') return args.some((word) => /^(?:erase|zero|secureErase|partitionDisk)/i.test(word ?? ''));
  if (name === 'tee' || name === 'cp' || name === 'shred') return DISK.test(args.at(-1) ?? '');
  return (
    DISK_TOOLS.test(name) &&
    args.some((word) => DISK.test(word ?? '')) &&
    !args.some((word) => word === '-l' || word === '--list' || word === 'print')
  );
}

const RIGHTS_TOOLS: ReadonlySet<string> = new Set(['chmod', 'chown', 'chgrp', 'chattr', 'setfacl']);

function changedBy({ name, words }: Program): readonly (string | undefined)[] {
  if (!RIGHTS_TOOLS.has(name) || !words.some((word) => /^(?:-[a-zA-Z]*R|--recursive)/.test(word ?? ''))) return [];
  return words
    .slice(1)
    .filter(
      (word) =>
        word?.startsWith('-') !== true && (word === undefined || word.includes('/') || word.startsWith('~') || word.startsWith('.')),
    );
}

function isTooFar(target: string | undefined, cwd: string | undefined, folders: Folders, literal: boolean): string | undefined {
  // What the text does not tell runs later as a program of its own, and is judged then.
  if (target === undefined || target === '') return undefined;
  const home = folders.homes[0];
  const text = home !== undefined && (target === '~' || target.startsWith('~/')) ? `${home}${target.slice(1)}` : target;
  const glob = text.search(/[*?[]/);
  const fixed = glob < 0 ? text : text.slice(0, text.lastIndexOf('/', glob) + 1) || '.';
  const path = normalPath(fixed, cwd?.startsWith('/') === true ? { ...folders.spelling, cwd } : folders.spelling);
  if (literal) return isUnder(path, '/tmp') || path.startsWith('/private/tmp/') ? undefined : quoted(path);
  if (folders.inTmp(path)) return undefined;
  if (folders.isPackage(path) && path.split('/').length > 3) return undefined;
  if (!folders.inWorkspace(path)) return folders.isCache(path) ? undefined : `${quoted(path)}, which is outside of the workspace`;
  if (folders.workspaces.includes(path)) return 'the workspace as a whole';
  return folders.workspaces.some((workspace) => path === `${workspace}/.git`) ? 'the history of the workspace' : undefined;
}

const DELETION_WINDOW_MS = 10_000;
const FOLDER_WINDOW_MS = 60_000;
/** A slow hand: ten times the count, in a time thirty times as long. */
const SLOW_FACTOR = 10;
const SLOW_WINDOW_MS = 300_000;
/** Files the session made itself: of more than these it is not known any more, and their deletion counts. */
const MAX_MADE = 20_000;

export const DELETIONS: RuleFamily = {
  rules: [
    {
      id: 'mass-deletion',
      title: 'Many files deleted',
      explanation:
        '20 files within 10 seconds, 200 within five minutes, or files of 10 folders within a minute. Only files that were there before the session count, outside of temporary, package, build and `.git` folders; not what `git` takes from the workspace, except `git clean`. Under a predecessor scope: three deletions of whatever files within 10 seconds.',
      levels: ['HALT'],
    },
  ],
  kinds: ['delete', 'rename', 'write'],
  begin(setting) {
    const { literal, scope } = setting;
    return literal ? literalDeletions(scope.limits.deletions) : ownDeletions(setting);
  },
};

function literalDeletions(limit: number): ReturnType<RuleFamily['begin']> {
  const window = new EventWindow(limit, DELETION_WINDOW_MS + 1);
  return {
    judge({ activity: { action }, at, seq, isDouble }, found) {
      if (action.kind !== 'delete' || isDouble || !window.add(at, seq)) return;
      found({ rule: 'mass-deletion', level: 'HALT', reason: `${limit} deletions within 10 seconds`, evidence: window.evidence() });
    },
    accept: () => window.clear(),
  };
}

function ownDeletions({ folders, scope: { limits } }: Setting): ReturnType<RuleFamily['begin']> {
  const fast = new NameWindow(limits.deletions, DELETION_WINDOW_MS);
  const slow = new NameWindow(limits.deletions * SLOW_FACTOR, SLOW_WINDOW_MS);
  const inFolders = limits.deletionFolders === undefined ? undefined : new NameWindow(limits.deletionFolders, FOLDER_WINDOW_MS);
  const made = new RecentNames(MAX_MADE);
  const told = (reason: string, evidence: readonly number[]): Finding => ({ rule: 'mass-deletion', level: 'HALT', reason, evidence });
  return {
    judge(seen, found) {
      const { at, seq, activity } = seen;
      for (const touch of seen.touches) if (touch.use === 'write' && touch.existed === false) made.add(touch.path);
      // A file under two names is one deletion: the one links lead to.
      const touch = activity.action.kind === 'delete' ? seen.touches.at(-1) : seen.touches[0];
      if (touch?.use !== 'delete' || !counts(touch, seen, folders, made)) return;
      // Each sees all that comes: none of them may stop at the first that speaks.
      const isFast = fast.add(touch.path, at, seq);
      const isSlow = slow.add(touch.path, at, seq);
      const isWide = inFolders?.add(folderOf(touch.path), at, seq) === true;
      if (isFast) found(told(`${limits.deletions} files that were there before deleted within 10 seconds`, fast.evidence()));
      else if (isWide) found(told(`files of ${limits.deletionFolders} folders deleted within a minute`, inFolders?.evidence() ?? []));
      else if (isSlow)
        found(told(`${limits.deletions * SLOW_FACTOR} files that were there before deleted within five minutes`, slow.evidence()));
    },
    accept() {
      fast.clear();
      slow.clear();
      inFolders?.clear();
    },
  };
}

function counts({ path, existed, to }: Touch, seen: Seen, folders: Folders, made: RecentNames): boolean {
  if (existed === false || (existed === undefined && made.has(path))) return false;
  if (folders.inTmp(path) || folders.isPackage(path) || folders.isCache(path) || folders.isBuildOutput(path) || passes(path, '.git'))
    return false;
  // Moved within the workspace it is still there; with something put behind its name it may be encrypted.
  if (to !== undefined && folders.inWorkspace(to) && !folders.isBuildOutput(to) && !folders.isPackage(to) && !to.startsWith(`${path}.`))
    return false;
  return !(folders.inWorkspace(path) && isGit(seen, folders));
}

/** What git takes from a working tree is in its history; `clean` takes what is not. */
function isGit({ exe, activity: { actor } }: Seen, folders: Folders): boolean {
  return programName(exe) === 'git' && folders.isSystem(exe) && actor?.argv?.includes('clean') !== true;
}
