/**
 * Where in a call its commands, queries, paths, targets, recipients, amounts and payees stand.
 *
 * Tools name their arguments as they like, so all of this is a search: by the names of members, by the name of the tool, and
 * by what a text looks like. It finds likely places and claims nothing about the others.
 */
import { nameWords } from '../../../redact/key-names.ts';
import type { ShellAnalysis } from '../../../shell/index.ts';
import { currentEvaluation, remember } from '../../evaluation.ts';
import { shellAnalysis } from '../shell.ts';
import { urlsIn } from '../text/url-search.ts';
import { type Leaf, leavesOf } from './leaves.ts';
import {
  AMOUNT_MEMBERS,
  ARGUMENT_MEMBERS,
  ASIDE_MEMBERS,
  BODY_MEMBERS,
  BROWSER_TOOLS,
  CODE_MEMBERS,
  CODE_TOOLS,
  COMMAND_MEMBERS,
  CONTENT_MEMBERS,
  HOST_MEMBERS,
  PATH_MEMBERS,
  PAYEE_MEMBERS,
  PAYEE_NAMES,
  PROGRAM_MEMBERS,
  QUERY_MEMBERS,
  READ_TOOLS,
  RECIPIENT_MEMBERS,
  SEARCH_TOOLS,
  SEND_TOOLS,
  SHELL_TOOLS,
  SURE_QUERY_MEMBERS,
  SURE_SHELL_TOOLS,
  TARGET_MEMBERS,
  WRITE_TOOLS,
} from './names.ts';

/** Of a longer command only the beginning is given: `shell` decides nothing that is longer than a third of this. */
const MAX_COMMAND_CHARS = 100_000;
/** More commands than this are given as one text. */
const MAX_COMMANDS = 64;
/** Of a longer statement only the beginning is given: as much as `sql` takes. */
const MAX_QUERY_CHARS = 100_000;
/** More statements than this are given as one text. */
const MAX_QUERIES = 1000;
/** Longer texts are no paths or URLs. */
const MAX_PLACE_CHARS = 4096;
/** Literals of code that are looked at. */
const MAX_LITERALS = 500;
const MAX_LITERAL_CHARS = 4096;
const MAX_AMOUNT_CHARS = 64;

type Words = ReadonlySet<string>;
const has = (words: readonly string[], set: Words): boolean => words.some((word) => set.has(word));
const last = (words: readonly string[]): string => words.at(-1) ?? '';
const unique = (texts: readonly string[]): readonly string[] => [...new Set(texts)];

/** What a finder found, looked for once per call however many rules ask. */
export function once<T>(kind: string, tool: string, args: unknown, find: (tool: string, args: unknown) => T): T {
  return typeof args === 'object' && args !== null ? remember(`${kind}:${tool}`, args, () => find(tool, args)) : find(tool, args);
}

export function toolWordsOf(name: string): readonly string[] {
  return remember('words', name, () => nameWords(name));
}

/** Texts that some shell will read as commands. A list of words becomes one command, quoted. */
export function commandsIn(tool: string, args: unknown): readonly string[] {
  const leaves = leavesOf(args);
  const toolWords = toolWordsOf(tool);
  const isCode = has(toolWords, CODE_TOOLS) || has(serverWords(), CODE_TOOLS);
  const isShell = !isCode && (has(toolWords, SURE_SHELL_TOOLS) || (toolWords.length === 1 && SHELL_TOOLS.has(toolWords[0] ?? '')));
  const found: string[] = [];
  const lists = new Set<readonly unknown[]>();
  for (const leaf of leaves) {
    const { words, value, list, holder } = leaf;
    if (typeof value !== 'string' || value === '') continue;
    const isCommand =
      (COMMAND_MEMBERS.has(last(words)) && !(isCode && CODE_MEMBERS.has(last(words)))) || (isShell && !has(words, ASIDE_MEMBERS));
    const isArgument = ARGUMENT_MEMBERS.has(last(words));
    if (list === undefined) {
      if (isCommand && !isArgument) found.push(value);
      else if (isCodeText(leaf, toolWords)) found.push(...literalCommands(value));
      continue;
    }
    if (!(isCommand || isArgument) || lists.has(list)) continue;
    lists.add(list);
    const parts = list.filter((item) => typeof item === 'string');
    if (isArgument) {
      const program = programOf(holder);
      if (program !== undefined || isShell) found.push(joined([...(program === undefined ? [] : [program]), ...parts]));
    } else if (last(words).endsWith('s')) found.push(...parts);
    else found.push(joined(parts), ...parts.filter((part) => /\s/.test(part)));
  }
  return bounded(unique(found));
}

/** Nothing is left out: what is too much for one look is one text, which is too large to be decided. */
function bounded(commands: readonly string[]): readonly string[] {
  const few = commands.length <= MAX_COMMANDS ? commands : [...commands.slice(0, MAX_COMMANDS), commands.slice(MAX_COMMANDS).join('\n')];
  return few.map((command) => command.slice(0, MAX_COMMAND_CHARS));
}

/** `python/run` runs Python. */
function serverWords(): readonly string[] {
  return toolWordsOf(currentEvaluation().input.tool.server ?? '');
}

function programOf(holder: ReadonlyMap<string, unknown> | undefined): string | undefined {
  for (const name of PROGRAM_MEMBERS) {
    const value = holder?.get(name);
    if (typeof value === 'string' && value !== '' && value.length <= MAX_PLACE_CHARS) return value;
  }
  return undefined;
}

function joined(parts: readonly string[]): string {
  return parts.map((part) => (/^[\w@%+=:,./-]+$/.test(part) ? part : `'${part.replaceAll("'", "'\\''")}'`)).join(' ');
}

function isCodeText({ words }: Leaf, toolWords: readonly string[]): boolean {
  return CODE_MEMBERS.has(last(words)) && !has(toolWords, BROWSER_TOOLS);
}

/** Words by which code of other languages starts a process. */
const STARTS_PROCESS = /system|popen|subprocess|spawn|exec|child_process|shell|ProcessBuilder|getRuntime|check_output|Invoke-/;
/** The last three take what is never closed, so that each character is read once. */
const LITERAL =
  /'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\[^])*)`|'(?:[^'\\\n]|\\.)*|"(?:[^"\\\n]|\\.)*|`(?:[^`\\]|\\[^])*/g;

/** Code of another language is not read; what stands in quotes in code that starts processes is taken for a command. */
function literalCommands(code: string): readonly string[] {
  if (!STARTS_PROCESS.test(code)) return [];
  const found: string[] = [];
  let list: string[] = [];
  let end = 0;
  const close = (): void => {
    if (list.length > 1) found.push(joined(list));
    list = [];
  };
  for (const { 0: whole, 1: single, 2: double, 3: back, index } of code.matchAll(LITERAL)) {
    const literal = single ?? double ?? back;
    // `['rm', '-rf', '/']`: nothing but commas in between.
    if (!/^\s{0,100},\s{0,100}$/.test(code.slice(end, Math.min(index, end + 202)))) close();
    end = index + whole.length;
    if (literal === undefined || literal.length > MAX_LITERAL_CHARS) continue;
    list.push(literal);
    if (/\s/.test(literal.trim())) found.push(literal);
    if (found.length > MAX_LITERALS) break;
  }
  close();
  return found;
}

const SQL_START =
  /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/|[(;])*(?:select|insert|update|delete|drop|truncate|alter|create|with|grant|revoke|explain|begin|start|merge|replace|call|set|copy|pragma|vacuum|attach|do|exec|execute|show|describe|desc|use|rename|load|lock|analyze|declare)\b/i;

/** Texts that some database will read as statements. */
export function queriesIn(tool: string, args: unknown): readonly string[] {
  const isSearch = has(toolWordsOf(tool), SEARCH_TOOLS);
  const found: string[] = [];
  for (const { words, value } of leavesOf(args)) {
    if (typeof value !== 'string' || !QUERY_MEMBERS.has(last(words))) continue;
    const text = value.slice(0, MAX_QUERY_CHARS);
    if (SURE_QUERY_MEMBERS.has(last(words)) || (!isSearch && SQL_START.test(text))) found.push(text);
  }
  return boundedQueries(unique(found));
}

/** So that `sql` can read them all in one condition: what is too much is the beginning of one text, as long as texts get. */
function boundedQueries(queries: readonly string[]): readonly string[] {
  let chars = 0;
  const end = queries.findIndex((query, index) => {
    chars += query.length;
    return index >= MAX_QUERIES || chars > 2 * MAX_QUERY_CHARS;
  });
  if (end < 0) return queries;
  return [...queries.slice(0, end), queries.slice(end).join(';\n').slice(0, MAX_QUERY_CHARS)];
}

const LOOKS_LIKE_PATH = /^(?:\/|~\/|~$|\.{1,2}\/|[A-Za-z]:[\\/]|file:)[^\n]*$/;

/** Texts that name files, and what the commands among the arguments are seen to touch. */
export function pathsIn(tool: string, args: unknown): readonly string[] {
  return unique([...namedPaths(args), ...seen(tool, args, ({ paths }) => paths)]);
}

function namedPaths(args: unknown): readonly string[] {
  return leavesOf(args).flatMap(({ words, value }) => {
    if (typeof value !== 'string' || value === '' || value.length > MAX_PLACE_CHARS || value.includes('\n')) return [];
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) && !value.toLowerCase().startsWith('file:')) return [];
    const isNamed = has(words, PATH_MEMBERS);
    const looksSo = LOOKS_LIKE_PATH.test(value) && !has(words, CONTENT_MEMBERS) && !COMMAND_MEMBERS.has(last(words));
    return isNamed || looksSo ? [value] : [];
  });
}

/** What the analysis of each command lists. A list may miss what a word from outside stands for. */
function seen(tool: string, args: unknown, list: (analysis: ShellAnalysis) => readonly string[]): readonly string[] {
  return once('commands', tool, args, commandsIn).flatMap((command) => list(shellAnalysis(command)));
}

/** Names of the programs that commands are seen to run. */
export function runsIn(tool: string, args: unknown): readonly string[] {
  return unique(seen(tool, args, ({ commands }) => commands));
}

/** Files whose content commands are seen to run. */
export function executesIn(tool: string, args: unknown): readonly string[] {
  return unique(seen(tool, args, ({ scripts }) => scripts));
}

/** Paths of a call that changes files: by the tool's name, because it brings content along, or by a command. */
export function writesIn(tool: string, args: unknown): readonly string[] {
  const leaves = leavesOf(args);
  const writes = has(toolWordsOf(tool), WRITE_TOOLS) || leaves.some(isContent);
  return unique([...(writes ? namedPaths(args) : []), ...seen(tool, args, (analysis) => [...analysis.writes, ...analysis.deletes])]);
}

function isContent({ words, value }: Leaf): boolean {
  return typeof value === 'string' && has(words, FILE_CONTENT) && !PATH_MEMBERS.has(last(words));
}
const FILE_CONTENT: Words = new Set(['content', 'contents', 'text', 'diff', 'patch', 'data', 'insert', 'new']);

const SHELL_SCRIPT_PATH = /\.(?:sh|bash|zsh|command)$/i;
const SHEBANG = /^#!\s*\/[^\n]*\b(?:ba|z|da|k|a)?sh\b/;

/** Shell scripts that a call writes into a file. */
export function scriptsIn(tool: string, args: unknown): readonly string[] {
  const isScript = once('writes', tool, args, writesIn).some((path) => SHELL_SCRIPT_PATH.test(path));
  return leavesOf(args).flatMap((leaf) => {
    const { value } = leaf;
    if (typeof value !== 'string' || value.length > MAX_COMMAND_CHARS || !isContent(leaf)) return [];
    return isScript || SHEBANG.test(value) ? [value] : [];
  });
}

/** URLs that a call names as where it goes, not those in what it writes or says, and hosts that its commands are seen to reach. */
export function targetsIn(tool: string, args: unknown): readonly string[] {
  const found = leavesOf(args).flatMap(({ words, value }) => {
    if (typeof value !== 'string' || value === '' || value.length > MAX_COMMAND_CHARS || /\s/.test(value.trim())) return [];
    const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(value.trim());
    if (has(words, TARGET_MEMBERS)) return isUrl ? [value] : /^[\w.[\]:-]+\.[\w.[\]:/-]+$/.test(value) ? [`http://${value}`] : [];
    if (HOST_MEMBERS.has(last(words))) return [isUrl ? value : `http://${value}`];
    return isUrl && !has(words, CONTENT_MEMBERS) ? [value] : [];
  });
  const hosts = seen(tool, args, (analysis) => analysis.hosts).map((host) => (host.includes('://') ? host : `http://${host}`));
  return unique([...found, ...hosts, ...spelledOut(tool, args)]);
}

/**
 * URLs in the text of commands of which not every host could be told: to a shell the brackets of an unquoted `http://[::1]/` are
 * a pattern, and what matches no file stays as it is.
 */
function spelledOut(tool: string, args: unknown): readonly string[] {
  const unsure = once('commands', tool, args, commandsIn).filter((command) => shellAnalysis(command).incomplete.includes('hosts'));
  return unsure.length === 0 ? [] : urlsIn(unsure);
}

const BETWEEN_ADDRESSES = /[\s<>,;:"()[\]]+/;

/** Addresses of those a call writes to; a recipient that is no address stands as it was given. */
export function recipientsIn(args: unknown): readonly string[] {
  const found = leavesOf(args).flatMap(({ words, value }) => {
    if (typeof value !== 'string' || value.length > MAX_PLACE_CHARS || !RECIPIENT_MEMBERS.has(last(words))) return [];
    const text = value.normalize('NFKC').toLowerCase().trim();
    const addresses = text.split(BETWEEN_ADDRESSES).filter((part) => part.includes('@'));
    return addresses.length > 0 || text === '' ? addresses : [text];
  });
  return unique(found);
}

/** Numbers under names of amounts, also those written as text: `1,200.50`. Texts that are none are left out. */
export function amountsIn(args: unknown): readonly number[] {
  return leavesOf(args).flatMap(({ words, value }) => {
    if (!has(words, AMOUNT_MEMBERS)) return [];
    if (typeof value === 'number') return [value];
    if (value.length > MAX_AMOUNT_CHARS) return [];
    const plain = value
      .trim()
      .replaceAll(/[,\s_']/g, '')
      .replace(/^[^\d.-]{1,4}|[A-Za-z€$£¥]{1,4}$/g, '');
    return /^-?\d{1,15}(?:\.\d{1,8})?$/.test(plain) ? [Number(plain)] : [];
  });
}

/** Texts that say where money goes: accounts, wallets, payees. */
export function payeesIn(args: unknown): readonly string[] {
  return unique(
    leavesOf(args).flatMap(({ words, value }) => {
      const isPayee = has(words, PAYEE_MEMBERS) || PAYEE_NAMES.has(words.join(''));
      return isPayee && String(value) !== '' ? [String(value)] : [];
    }),
  );
}

/** Code of other languages that a tool runs. */
export function codesIn(tool: string, args: unknown): readonly string[] {
  const toolWords = toolWordsOf(tool);
  const found = leavesOf(args).flatMap((leaf) => {
    const { value } = leaf;
    return typeof value === 'string' && value.length <= MAX_COMMAND_CHARS && isCodeText(leaf, toolWords) ? [value] : [];
  });
  return unique(found);
}

/** Programs that carry something out whatever their options are, and those that do with some. */
const CARRIERS: Words = new Set('nc ncat netcat socat scp sftp ftp tftp rsync telnet ssh rclone mail mailx sendmail mutt'.split(' '));
const CLIENTS: Words = new Set('curl wget http https xh aws gsutil az gcloud gh Invoke-WebRequest Invoke-RestMethod iwr irm'.split(' '));
const CARRYING =
  /\s(?:-[a-zA-Z]*[dFT](?=[\s"'@$]|$)|--(?:data|form|upload|post|body|json)[a-z-]*|-X\s*(?:POST|PUT|PATCH)|--request[ =](?:POST|PUT|PATCH)|--method[ =](?:POST|PUT))|\bgist create\b|\bs3 (?:cp|sync|mv)\b|\bcp\s+\S+\s+gs:|\?[^\s]*=/;

/**
 * Whether a call seems to send something out: by the tool's name, by a method or body beside a URL, by what a URL carries,
 * or by a command.
 */
export function sendsOut(tool: string, args: unknown): boolean {
  const toolWords = toolWordsOf(tool);
  if (has(toolWords, SEND_TOOLS) && !has(toolWords, READ_TOOLS)) return true;
  const targets = once('targets', tool, args, targetsIn);
  const byCommand = once('commands', tool, args, commandsIn).some((command) => {
    const { found, commands } = shellAnalysis(command);
    if (!found.includes('network')) return false;
    return commands.some((name) => CARRIERS.has(name)) || (commands.some((name) => CLIENTS.has(name)) && CARRYING.test(command));
  });
  if (byCommand) return true;
  if (targets.length === 0) return false;
  const bringsData = leavesOf(args).some(({ words, value }) => {
    if (words.length === 1 && words[0] === 'method') return /^(?:post|put|patch)$/i.test(String(value));
    return BODY_MEMBERS.has(last(words)) && String(value) !== '';
  });
  return bringsData || targets.some((target) => /[?#]./.test(target));
}
