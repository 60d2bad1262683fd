/** What a command does to the machine. */
import type { Rule } from '../../policy/rule-definition.ts';
import { celMatchesAny, celPattern, commandsShow, FORCE_PUSHES, LOOKS, SQL_DESTROYS, WRITES_PERSISTENTLY } from '../words.ts';
import { asks } from './rule.ts';

const CODE_DESTROYS = String.raw`(?i)(?:rmtree|rmdirs?|rmSync|rm_rf|removedirs|remove_entry|delete_dir)\w*\(\s*['"](?:/|~/?|(?:/home|/Users)(?:/[\w.-]+)?/?|/(?:etc|usr|var|opt)(?:/[\w.-]+)?/?|C:\\+)['"]|\bunlink\s*\(?\s*glob\b`;
const CODE_DOWNLOADS = String.raw`(?i)(?:exec|eval|Function|loads)\s*\(.{0,300}(?:urlopen|requests\.|urlretrieve|fetch\(|https?\.get|https?://)|\bIEX\b|Invoke-Expression|DownloadString`;
export const REVERSE_SHELL: string = String.raw`/dev/(?:tcp|udp)/|\b(?:nc|ncat|netcat)\b.*\s-\w*[ec]\b|\bsocat\b.*\bexec:|\bmkfifo\b.*\|\s*(?:nc|ncat)\b`;
const GREAT_COMMAND: readonly string[] = [
  String.raw`\bterraform\s+destroy\b`,
  String.raw`\bpulumi\s+destroy\b`,
  String.raw`\bkubectl\s+delete\s+(?:ns|namespaces?|all|pvc?|pv|--all)\b`,
  String.raw`\bhelm\s+uninstall\b`,
  String.raw`\bdocker\s+(?:system|volume)\s+prune\b.*(?:-\w*f|--force|--volumes)`,
  String.raw`\baws\s+s3\s+(?:rb|rm)\b.*(?:--force|--recursive)`,
  String.raw`\bgcloud\b.*\bdelete\b.*--quiet`,
  String.raw`\bdropdb\b`,
  String.raw`\bRemove-Item\b.*-Recurse`,
  String.raw`\bformat\s+[a-z]:`,
  String.raw`\bkill\s+-(?:9|KILL)\s+-1\b`,
  String.raw`\bdel\s+/[sfq]`,
];
/** Deletes of named things below the working folder, and a branch of one's own that is pushed anew: nobody wants to be asked. */
const TAME_PATH = `(p.matches(${celPattern(String.raw`^(?:\./)?[\w@.-][^*?~$]*$|^/tmp/[^*?~$]+$`)}) && !p.contains("..") && p != "." && p != "./" && !p.matches(${celPattern(String.raw`(?:^|/)\.(?:git|ssh|aws|gnupg|kube|env|countersign)(?:/|$)`)}))`;
const UNTAME = String.raw`\bgit\s+(?:reset|clean|push|branch|checkout|filter-branch)|\b(?:dd|shred|mkfs\S*|wipefs|truncate|kubectl|docker|terraform|chmod|chown|helm|aws|gcloud)\b`;
const TAME_FIND = String.raw`^\s*find\s+\.\s[^;&|]*-name\s[^;&|]*-delete\s*$`;
const TAME_PUSH = String.raw`^\s*git\s+push\s[^;&|]*--force-with-lease[^;&|]*$`;
const PROTECTED_BRANCH = String.raw`\b(?:main|master|production|release)\b`;
const TAME_DELETES = `!shell(c).undecided && !("deletes" in shell(c).incomplete) && shell(c).deletes.size() > 0 && shell(c).deletes.all(p, ${TAME_PATH}) && !c.matches(${celPattern(UNTAME)})`;
const TAME = `(${TAME_DELETES} || c.matches(${celPattern(TAME_FIND)}) || c.matches(${celPattern(TAME_PUSH)}) && !c.matches(${celPattern(PROTECTED_BRANCH)}))`;
const DECODERS = String.raw`(?i)\b(?:base64|base32|xxd|openssl|uudecode|rev|gpg)\b`;

export function machine(): readonly Rule[] {
  return [
    asks(
      'destructive-command',
      'DESTRUCTIVE_COMMAND',
      'the command destroys what cannot be brought back',
      `commands(tool, args).exists(c, "destructive" in shell(c).found && !${TAME}) || commands(tool, args).exists(c, ${celMatchesAny('c', GREAT_COMMAND, '(?i)')} || ${FORCE_PUSHES}) || codes(tool, args).exists(c, c.matches(${celPattern(CODE_DESTROYS)})) || commands(tool, args).exists(c, "code" in shell(c).reasons && c.matches(${celPattern(CODE_DESTROYS)}))`,
    ),
    asks(
      'hidden-command',
      'HIDDEN_COMMAND',
      'the command runs what it decodes, or is too long to be looked at',
      `commands(tool, args).exists(c, "script" in shell(c).reasons && c.matches(${celPattern(DECODERS)}) || "too-large" in shell(c).reasons || "too-much" in shell(c).reasons)`,
    ),
    asks(
      'destructive-sql',
      'DESTRUCTIVE_SQL',
      'the statement destroys tables or the rows of a whole table',
      `queries(tool, args).exists(q, ${SQL_DESTROYS})`,
    ),
    asks(
      'persistence',
      'PERSISTENCE',
      'the call leaves something that runs again later',
      `${commandsShow('persistence')} || ${WRITES_PERSISTENTLY}`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'download-and-run',
      'DOWNLOAD_AND_RUN',
      'the command runs what it downloads, or opens a shell to somebody else',
      `${commandsShow('downloadsAndRuns')} || commands(tool, args).exists(c, c.matches(${celPattern(REVERSE_SHELL)})) || (codes(tool, args) + commands(tool, args)).exists(c, c.matches(${celPattern(CODE_DOWNLOADS)}))`,
    ),
  ];
}
