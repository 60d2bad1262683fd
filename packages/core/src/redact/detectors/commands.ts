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
const STOP = /[\s"'\\;|&`]/g;
