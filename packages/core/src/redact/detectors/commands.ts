/**
 * Passwords behind flags whose meaning depends on the command: `mysql -pX`, `curl -u user:X`, `sshpass -p X`, `docker login -p X`,
 * `htpasswd -b file user X`, `redis-cli -a X`, `openssl ... -passin pass:X`; and in statements of SQL.
 */
import { type Detector, isPlaceholder, isReference, type Sighting } from '../detector.ts';

interface Command {
  readonly trigger: string;
  /** Sticky; reads from behind the trigger to the secret, whose text is what follows. */
  readonly before: RegExp;
}

/** Words of a command line before the flag: bounded, and none is a separator or starts another command. */
const WORDS = String.raw`(?:[ \t]{1,8}[^\s;|&]{1,200}){0,12}?[ \t]{1,8}`;
const QUOTE = String.raw`[\\"']{0,3}`;

const COMMANDS: readonly Command[] = [
  ...['mysql', 'mysqldump', 'mysqladmin', 'mariadb', 'mariadb-dump'].map((trigger) => command(trigger, `-p${QUOTE}`)),
  command('sshpass', `-p[ \\t]{0,4}${QUOTE}`),
  command('curl', `(?:-u[ \\t]{0,4}|--user[ =]|--proxy-user[ =]|-U[ \\t]{1,4})${QUOTE}[^\\s:"'\\\\]{0,200}:`),
  command('wget', `--(?:http-|ftp-|proxy-)?password[ =]${QUOTE}`),
  ...['docker login', 'podman login', 'helm registry login', 'az login', 'oc login'].map((trigger) =>
    command(trigger, `-p[ \\t=]{0,4}${QUOTE}`),
  ),
  command('htpasswd', `-[a-zA-Z]{0,6}b[a-zA-Z]{0,6}[ \\t]{1,4}[^\\s;|&]{1,200}[ \\t]{1,4}[^\\s;|&]{1,200}[ \\t]{1,4}${QUOTE}`),
  command('redis-cli', `-a[ \\t]{1,4}${QUOTE}`),
  ...['ldapsearch', 'ldapadd', 'ldapmodify', 'ldapdelete'].map((trigger) => command(trigger, `-w[ \\t]{0,4}${QUOTE}`)),
  ...['smbclient', 'rpcclient'].map((trigger) => command(trigger, `-U[ \\t]{0,4}${QUOTE}[^\\s%"'\\\\]{1,100}%`)),
  ...['mongo', 'mongosh', 'mongodump', 'mongoimport'].map((trigger) => command(trigger, `-p[ \\t]{1,4}${QUOTE}`)),
  command('openssl', `-pass(?:in|out)?[ \\t]{1,4}${QUOTE}pass:`),
];

function command(trigger: string, flag: string): Command {
  return { trigger: `${trigger} `, before: new RegExp(WORDS + flag, 'y') };
}

/** `CREATE USER u IDENTIFIED BY 'x'`, `ALTER ROLE u WITH PASSWORD 'x'`. */
const STATEMENTS: readonly Command[] = ['IDENTIFIED BY ', 'identified by ', 'PASSWORD ', 'password '].map((trigger) => ({
  trigger,
  before: / [\\]{0,3}'/y,
}));

const BY_TRIGGER: ReadonlyMap<string, RegExp> = new Map([...COMMANDS, ...STATEMENTS].map(({ trigger, before }) => [trigger, before]));

export const COMMAND_PASSWORD: Detector = {
  kind: 'command-password',
  triggers: [...BY_TRIGGER.keys()],
  look(text, at, trigger): Sighting | undefined {
    const before = BY_TRIGGER.get(trigger);
    if (before === undefined) return undefined;
    // The blank behind the command belongs to its first word. A command line longer than this is no hand's work.
    const line = text.slice(at, at + MAX_COMMAND_CHARS);
    before.lastIndex = trigger.length - 1;
    if (!before.test(line)) return undefined;
    const start = before.lastIndex;
    STOP.lastIndex = start;
    const end = STOP.test(line) ? STOP.lastIndex - 1 : line.length;
    const value = line.slice(start, end);
    if (value === '' || isPlaceholder(value) || isReference(value) || /^[-<]/.test(value)) return undefined;
    return { start: at + start, end: at + end, secret: true };
  },
};
const MAX_COMMAND_CHARS = 600;

/** Words of a list that are looked at together: `htpasswd`, `-b`, a file, a user and the secret. */
const WORDS_AT_ONCE = 4;
/** As many as the shapes above let one have. */
const MAX_WORD_CHARS = 200;
/** More of them are no hand's work either, and a list may have a million. */
const MAX_COMMAND_WORDS = 1_000;
/** Signs that end a word in a line, and mean nothing in a list: there an argument is one, whatever it holds. */
const NO_WORD = /[\s"'\\;|&`]/g;

/**
 * The same in a list of arguments: `['curl', '-u', 'ada:X']`, where no text holds both the command and the secret. However long
 * the words between them are, and whatever they hold.
 *
 * @returns from which character on an item is secret, by its place in the list.
 */
export function passwordsInCommand(items: readonly string[]): ReadonlyMap<number, number> {
  if (!items.some((item) => FIRST_WORDS.has(lastName(item)))) return NONE;
  const found = new Map<number, number>();
  const names = items.map(lastName);
  const words = items.map((item) => item.slice(0, MAX_WORD_CHARS).replaceAll(NO_WORD, '_'));
  for (const { trigger } of COMMANDS) {
    const command = trigger.trimEnd().split(' ');
    const at = names.findIndex((_, i) => command.every((word, j) => names[i + j] === word));
    if (at < 0) continue;
    const first = at + command.length;
    for (let i = first; i < Math.min(words.length, first + MAX_COMMAND_WORDS); i++) {
      if (words[i]?.startsWith('-') !== true) continue;
      const line = trigger + words.slice(i, i + WORDS_AT_ONCE).join(' ');
      const start = COMMAND_PASSWORD.look(line, 0, trigger)?.start;
      if (start === undefined) continue;
      const { item, from } = wordAt(words, i, start - trigger.length);
      found.set(item, Math.min(from, found.get(item) ?? from));
    }
  }
  return found;
}

const NONE: ReadonlyMap<number, number> = new Map();

function lastName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1);
}

const FIRST_WORDS: ReadonlySet<string> = new Set(COMMANDS.map(({ trigger }) => trigger.slice(0, trigger.indexOf(' '))));

function wordAt(words: readonly string[], first: number, chars: number): { readonly item: number; readonly from: number } {
  let item = first;
  let from = chars;
  for (let length = words[item]?.length ?? from; from > length; length = words[item]?.length ?? from) {
    from -= length + 1;
    item++;
  }
  return { item, from };
}

const STOP = /[\s"'\\;|&`]/g;
