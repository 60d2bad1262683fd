/** What an activity amounts to, in the words tasks are read by. */
import { homedir, tmpdir } from 'node:os';
import { posix } from 'node:path';
import { analyzeArguments } from '@countersign/core';
import type { Activity, ExecAction } from '../activity.ts';
import type { Deed } from './words.ts';

export interface Places {
  /** Default: that of the user this runs as. */
  readonly home?: string;
  /** Default: that of the system. */
  readonly tmp?: string;
}

/** Longer argument lists are judged by their program alone. */
export const MAX_INTENT_ARGS = 1_000;

/** Empty: nothing that a task speaks of, such as an exit or a figure. */
export function observedDeeds({ action }: Activity, places: Places = {}): readonly Deed[] {
  switch (action.kind) {
    case 'read':
      return ['read'];
    case 'write':
    case 'rename':
      return isOrdinary(action.path, places)
        ? []
        : [isSettings(action.kind === 'rename' ? action.to : action.path, places) ? 'config' : 'write'];
    case 'delete':
      // What it made itself it may take away.
      return action.existed === false || isOrdinary(action.path, places) ? [] : ['delete'];
    case 'exec':
      return execDeeds(action);
    case 'connect':
      return action.protocol === 'unix' || isLoopback(action.address ?? action.host ?? '') ? [] : ['network'];
    case 'dns':
      return ['network'];
    // A process more runs no other program until it execs; the rest is for the rules.
    case 'spawn':
    case 'exit':
    case 'load':
    case 'memory':
    case 'unreadable':
    case 'resource':
      return [];
  }
}

/** Programs that only look, where nothing that follows them says otherwise. */
const LOOKS: ReadonlySet<string> = new Set(
  'cat ls grep egrep fgrep rg ag find fd head tail less more wc stat file sort uniq diff cmp tree pwd echo printf true false test which whereis type date uname id whoami hostname ps df du jq cut tr awk gawk mawk sed basename dirname realpath readlink sleep seq md5sum sha1sum sha256sum strings od xxd nl column'.split(
    ' ',
  ),
);
/** What runs others: they are judged, not it. */
const WRAPPERS: ReadonlySet<string> = new Set(
  'sh bash dash zsh ksh busybox coreutils env timeout nice nohup xargs time stdbuf setsid'.split(' '),
);
const GIT_LOOKS: ReadonlySet<string> = new Set(
  'status log diff show rev-parse ls-files ls-tree branch blame describe cat-file for-each-ref symbolic-ref rev-list grep shortlog version'.split(
    ' ',
  ),
);
/** They change the machine or the account, whatever their arguments are. */
const CONFIGURES: ReadonlySet<string> = new Set(
  'crontab at systemctl launchctl sysctl chsh usermod useradd groupadd passwd visudo update-rc.d defaults scutil networksetup iptables nft ufw'.split(
    ' ',
  ),
);

function execDeeds({ exe, argv }: ExecAction): readonly Deed[] {
  const words = argv.length === 0 || argv.length > MAX_INTENT_ARGS ? [exe] : argv;
  const found = analyzeArguments(words);
  const deeds = new Set<Deed>();
  if (found.deletes.length > 0 || found.found.includes('destructive')) deeds.add('delete');
  if (found.found.includes('network')) deeds.add('network');
  if (found.found.includes('persistence') || found.commands.some((name) => CONFIGURES.has(name))) deeds.add('config');
  if (found.writes.length > 0) deeds.add('write');
  // The process says what it is called; what runs is `exe`.
  const names = [posix.basename(exe), ...found.commands];
  const hidden = found.reasons.some((reason) => reason === 'code' || reason === 'script' || reason === 'command-name');
  if (hidden || !names.every((name) => LOOKS.has(name) || WRAPPERS.has(name) || (name === 'git' && GIT_LOOKS.has(gitVerb(words)))))
    deeds.add('spawn');
  return deeds.size === 0 ? ['read'] : [...deeds];
}

function gitVerb(words: readonly string[]): string {
  return words.slice(1).find((word) => !word.startsWith('-')) ?? 'version';
}

/** Where files come and go in any work. */
function isOrdinary(path: string, { tmp = tmpdir() }: Places): boolean {
  const clean = posix.normalize(path);
  return (
    isUnder(clean, tmp) ||
    isUnder(clean, '/dev') ||
    isUnder(clean, '/proc') ||
    /\/(?:\.git|node_modules|__pycache__|\.cache)\//u.test(clean)
  );
}

/** Settings of the account or the machine; those of a project are files like others. */
function isSettings(path: string, { home = homedir() }: Places): boolean {
  const clean = posix.normalize(path);
  if (isUnder(clean, '/etc') || isUnder(clean, '/usr/local/etc') || isUnder(clean, '/Library')) return true;
  if (!isUnder(clean, home)) return false;
  const inHome = clean.slice(posix.normalize(home).length).replace(/^\/+/u, '');
  return /^(?:\.[^/]+$|\.config\/|\.local\/share\/systemd\/|\.ssh\/|\.gnupg\/|Library\/(?:Preferences|LaunchAgents)\/)/u.test(inHome);
}

function isUnder(path: string, folder: string): boolean {
  const clean = posix.normalize(folder).replace(/\/+$/u, '');
  return clean !== '' && path.startsWith(`${clean}/`);
}

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/u.test(address);
}
