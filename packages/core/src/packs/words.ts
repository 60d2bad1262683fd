/** Expressions that several packs share: fragments of CEL, put together when a pack is made. */

/** A list of texts as CEL writes it. Double quotes: JSON's escapes are CEL's too. */
export function celList(texts: readonly string[]): string {
  return `[${texts.map((text) => JSON.stringify(text)).join(', ')}]`;
}

/** Longest pattern that is put together here; `matches` takes little more. */
const MAX_PATTERN_CHARS = 480;

/**
 * Whether a variable matches one of many patterns: `prefix(?:one|two)suffix`, in as many calls of `matches` as it takes.
 */
export function celMatchesAny(variable: string, alternatives: readonly string[], prefix = '', suffix = ''): string {
  const groups: string[] = [];
  let group = '';
  for (const alternative of alternatives) {
    const longer = group === '' ? alternative : `${group}|${alternative}`;
    if (prefix.length + longer.length + suffix.length + 4 > MAX_PATTERN_CHARS) {
      groups.push(group);
      group = alternative;
    } else group = longer;
  }
  return `(${[...groups, group].map((each) => `${variable}.matches(${celPattern(`${prefix}(?:${each})${suffix}`)})`).join(' || ')})`;
}

/** A pattern as a literal of CEL. */
export function celPattern(pattern: string): string {
  return JSON.stringify(pattern);
}

export const ANY_TOOL: readonly string[] = ['*'];

/** Whether the commands of a call show this effect for certain. */
export function commandsShow(
  effect: 'destructive' | 'network' | 'privileged' | 'persistence' | 'downloadsAndRuns' | 'credentials',
): string {
  return `commands(tool, args).exists(c, "${effect}" in shell(c).found)`;
}

/** Hosts a call goes to. */
export const GOES_TO: string = 'hosts(targets(tool, args))';
const LOOPBACK = String.raw`^(?:localhost|.*\.localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[?::1?\]?)$`;
export const IS_LOOPBACK: string = `h.matches(${celPattern(LOOPBACK)})`;
/** Some of the hosts a call goes to are not this machine or its network; or none is known. */
export const LEAVES: string = `(${GOES_TO}.size() == 0 || ${GOES_TO}.exists(h, !host.isPrivate(h)))`;

const PATH_START = String.raw`(?i)(?:^|[/\\])`;

/** Files whose content is a credential. */
const CREDENTIAL_PATH: readonly string[] = [
  String.raw`\.ssh/(?:id_[a-z0-9_-]+|identity)`,
  String.raw`\.aws/(?:credentials|config)`,
  String.raw`\.netrc`,
  String.raw`_netrc`,
  String.raw`\.git-credentials`,
  String.raw`\.npmrc`,
  String.raw`\.pypirc`,
  String.raw`\.pgpass`,
  String.raw`\.my\.cnf`,
  String.raw`\.docker/config\.json`,
  String.raw`\.kube/config`,
  String.raw`kubeconfig`,
  String.raw`\.env`,
  String.raw`\.env\.(?:local|prod|production|staging|development|dev)`,
  String.raw`\.envrc`,
  String.raw`application_default_credentials\.json`,
  String.raw`credentials\.(?:json|db|ya?ml)`,
  String.raw`client_secrets?\.json`,
  String.raw`service[-_]account[^/\\]*\.json`,
  String.raw`logins\.json`,
  String.raw`key[34]\.db`,
  String.raw`cookies(?:\.sqlite)?`,
  String.raw`login data`,
  String.raw`etc/g?shadow`,
  String.raw`proc/[^/]+/environ`,
  String.raw`\.vault-token`,
  String.raw`wallet\.dat`,
  String.raw`\.gnupg/.*`,
  String.raw`(?:[^/\\]*private[^/\\]*|server|tls|[^/\\]*_rsa)\.(?:pem|key)`,
  String.raw`[^/\\]*\.(?:p12|pfx|jks|keystore|kdbx)`,
];
export const NAMES_CREDENTIALS: string = `paths(tool, args).exists(p, ${celMatchesAny('p', CREDENTIAL_PATH, PATH_START, '$')})`;

/** Files that are run without anybody asking for it: at login, by a timer, by an editor, by git. */
const PERSISTENT_PATH: readonly string[] = [
  String.raw`\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc|cshrc|tcshrc|vimrc|emacs|inputrc|xinitrc|xprofile)`,
  String.raw`\.config/(?:autostart|systemd|fish)/.*`,
  String.raw`\.ssh/(?:authorized_keys2?|rc|config)`,
  String.raw`etc/(?:cron[^/]*(?:/.*)?|profile|profile\.d/.*|bash\.bashrc|environment|ld\.so\.preload|rc\.local|init\.d/.*|systemd/.*|sudoers|sudoers\.d/.*|passwd|shadow|pam\.d/.*|hosts\.allow|xdg/autostart/.*)`,
  String.raw`var/spool/cron/.*`,
  String.raw`(?:usr/)?lib/systemd/.*`,
  String.raw`library/(?:launchagents|launchdaemons)/.*`,
  String.raw`start menu/programs/startup/.*`,
  String.raw`\.git/hooks/.*`,
  String.raw`\.git/config`,
  String.raw`\.gitconfig`,
  String.raw`\.claude/(?:settings[^/]*\.json|hooks/.*)`,
  String.raw`\.cursor/(?:mcp\.json|hooks.*)`,
  String.raw`\.vscode/(?:tasks|settings)\.json`,
  String.raw`claude_desktop_config\.json`,
  String.raw`sitecustomize\.py`,
  String.raw`usercustomize\.py`,
];
export const WRITES_PERSISTENTLY: string = `writes(tool, args).exists(p, ${celMatchesAny('p', PERSISTENT_PATH, PATH_START, '$')})`;

/** Places where a program has no business to lie. */
const SCRATCH_PATH = String.raw`^(?:/private)?(?:/tmp/|/var/tmp/|/dev/shm/)|(?i)[/\\]temp[/\\]|/\.[^/.]+/[^/]+\.(?:sh|py|bin|elf|exe)$`;
const RUNS_DEVICE = String.raw`\b(?:ba|z|da|k)?sh\s+/dev/shm/`;
export const RUNS_SCRATCH: string = `executes(tool, args).exists(p, p.matches(${celPattern(SCRATCH_PATH)})) || commands(tool, args).exists(c, c.matches(${celPattern(RUNS_DEVICE)}))`;

/** Words of tools that only look. */
export const LOOKS: string = celList([
  'get',
  'list',
  'read',
  'search',
  'retrieve',
  'describe',
  'show',
  'find',
  'count',
  'preview',
  'estimate',
  'quote',
  'check',
  'lookup',
  'status',
  'balance',
  'history',
  'price',
  'categorize',
]);

/** `queries` cuts what is longer, and then nobody knows its end. */
const LONG_QUERY = 100_000;
const GAP = String.raw`(?:\s|/\*[^*]*\*+/|--[^\n]*\n)`;
/** Words of destruction in what cannot be decided: code in a text, a procedure, a family that nothing here reads. */
const DESTROYING: readonly string[] = [
  String.raw`drop${GAP}+(?:table|database|schema|view|user|role|owned|tablespace|extension|materialized|keyspace|collection)\b`,
  String.raw`truncate${GAP}+[\w"\[${'`'}]`,
  String.raw`alter${GAP}+table\b.*\bdrop\b`,
  String.raw`delete${GAP}+from${GAP}+[^\s;'")]+${GAP}*(?:;|$|['")]|where${GAP}+(?:1${GAP}*=${GAP}*1|true)\b)`,
  String.raw`grant${GAP}+all\b`,
  String.raw`copy\b.*\bprogram\b`,
  String.raw`xp_cmdshell\b`,
];
const SQL_UPDATE = `q.matches(${celPattern(String.raw`(?is)\bupdate${GAP}+[^\s;]+${GAP}+set\b`)}) && !q.matches(${celPattern(String.raw`(?i)\bwhere\b`)})`;
/** A statement `q` that destroys tables or the rows of a whole one, changes rights or leaves the database; or is too long to be read. */
export const SQL_DESTROYS: string = `(q.size() >= ${LONG_QUERY} || sql(q).destroys || sql(q).undecided && (${celMatchesAny('q', DESTROYING, String.raw`(?is)\b`)} || ${SQL_UPDATE}))`;

/** `git` and its own options, up to the command. */
export const GIT: string = String.raw`\bgit(?:\s+-\S+(?:\s+[^-\s]\S*)?)*\s+`;
const FORCE_PUSH = String.raw`${GIT}push\b.*(?:\s--force(?:\s|$)|\s-\w*f\b|\s\+).*\b(?:main|master|production|release)\b|${GIT}push\b.*\b(?:main|master)\b.*\s(?:--force(?:\s|$)|-f\b)`;
/** A command `c` that pushes over what others have, on a branch that others use. */
export const FORCE_PUSHES: string = `c.matches(${celPattern(FORCE_PUSH)})`;
