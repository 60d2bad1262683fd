/** The scope's own lists of paths. */
import type { Folders } from '../folders.ts';
import { isCertificateBundle } from '../folders.ts';
import { compilePaths, type PathPatterns } from '../path-patterns.ts';
import { baseOf, isUnder } from '../path-text.ts';
import { quoted } from '../quoted.ts';
import type { Finding, RuleFamily, Setting } from '../rule.ts';
import type { Touch } from '../seen.ts';

export const SCOPE_PATHS: RuleFamily = {
  rules: [
    {
      id: 'forbidden-path',
      title: 'A forbidden path was touched',
      explanation:
        'The path matches `forbidden_paths`, or it was written or deleted and matches `forbidden_writes` (`deny_write` of the flat form), or a folder that holds such a path was renamed.',
      levels: ['KILL'],
    },
    {
      id: 'forbidden-extension',
      title: 'A file with a forbidden ending was touched',
      explanation: 'The name ends in one of `forbidden_extensions`. Under our own scope CA bundles and package folders are left out.',
      levels: ['KILL'],
    },
    {
      id: 'write-outside',
      title: 'A write outside the workspace',
      explanation:
        'Written to, or (under our own scope) a file that was there before deleted, outside of `allowed_paths` (without them: of the workspace). Under our own scope temporary folders and caches are left out.',
      levels: ['HALT'],
    },
    {
      id: 'outside-scope',
      title: 'A path outside the scope',
      explanation:
        'Read (or, under a predecessor scope, deleted) outside of `allowed_paths`. Our own scope lets system folders and caches be read.',
      levels: ['FLAG'],
    },
  ],
  kinds: ['read', 'write', 'delete', 'rename', 'load'],
  begin(setting) {
    const judge = setting.literal ? literalJudge(setting) : ownJudge(setting);
    return {
      judge({ touches }, found) {
        for (const touch of touches) {
          const finding = judge(touch);
          if (finding !== undefined) found(finding);
        }
      },
    };
  },
};

type TouchJudge = (touch: Touch) => Finding | undefined;

/** Patterns with `~` hold for the home as it is named, and as links lead to it. */
export function patternsOf(patterns: readonly string[], folders: Folders): PathPatterns {
  const named = compilePaths(patterns, (pattern) => folders.expand(pattern));
  const real = patterns.filter((pattern) => folders.expandReal(pattern) !== undefined);
  if (real.length === 0) return named;
  const other = compilePaths(real, (pattern) => folders.expandReal(pattern) ?? pattern);
  return (path) => named(path) ?? other(path);
}

/**
 * What is above something that patterns name, so that it could be reached by another name once that is renamed. A pattern is followed up
 * to its first wildcard: what only part of it would hold for is not known.
 */
function aboveOf(patterns: readonly string[], folders: Folders): (path: string) => string | undefined {
  const places = patterns.flatMap((pattern) =>
    [folders.expand(pattern), folders.expandReal(pattern)].flatMap((text) => {
      const fixed = text?.replace(/\/?[^/]*[*?[].*$/s, '').replace(/\/+$/, '');
      return fixed === undefined || fixed === '' ? [] : [{ pattern, fixed }];
    }),
  );
  return (path) => places.find(({ fixed }) => isUnder(fixed, path))?.pattern;
}

function forbiddenJudge({ scope: { filesystem }, folders, literal }: Setting): TouchJudge {
  const forbidden = patternsOf(literal ? filesystem.forbiddenPaths : withFolders(filesystem.forbiddenPaths), folders);
  const writes = patternsOf(literal ? filesystem.forbiddenWrites : withFolders(filesystem.forbiddenWrites), folders);
  const endings = folders.spelling.folds
    ? filesystem.forbiddenExtensions.map((ending) => ending.toLowerCase())
    : filesystem.forbiddenExtensions;
  const above = aboveOf([...filesystem.forbiddenPaths, ...filesystem.forbiddenWrites], folders);
  return ({ use, path, to }) => {
    const held = use === 'delete' && to !== undefined ? above(path) : undefined;
    if (held !== undefined)
      return {
        rule: 'forbidden-path',
        level: 'KILL',
        reason: `another name for ${quoted(path)}, which holds a forbidden path (${quoted(held)})`,
      };
    const pattern = forbidden(path) ?? (use === 'read' ? undefined : writes(path));
    if (pattern !== undefined)
      return { rule: 'forbidden-path', level: 'KILL', reason: `${use} of forbidden path ${quoted(path)} (${quoted(pattern)})` };
    if (endings.length === 0) return undefined;
    const name = baseOf(path);
    const ending = endings.find((text) => name.endsWith(text));
    if (ending === undefined) return undefined;
    if (!literal && (folders.isPackage(path) || isCertificateBundle(path))) return undefined;
    return { rule: 'forbidden-extension', level: 'KILL', reason: `${use} of a file ending in ${quoted(ending)}: ${quoted(path)}` };
  };
}

/** To us `~/.ssh/**` also means the folder. */
export function withFolders(patterns: readonly string[]): readonly string[] {
  return patterns.flatMap((pattern) => (/[^/]\/\*{1,2}$/.test(pattern) ? [pattern, pattern.replace(/\/\*{1,2}$/, '')] : [pattern]));
}

function literalJudge(setting: Setting): TouchJudge {
  const forbidden = forbiddenJudge(setting);
  const allowed = patternsOf(setting.scope.filesystem.allowedPaths ?? [], setting.folders);
  return (touch) => {
    const finding = forbidden(touch);
    if (finding !== undefined) return finding;
    if (allowed(touch.path) !== undefined) return undefined;
    return touch.use === 'write'
      ? { rule: 'write-outside', level: 'HALT', reason: `write outside the allowed paths: ${quoted(touch.path)}` }
      : { rule: 'outside-scope', level: 'FLAG', reason: `${touch.use} outside the allowed paths: ${quoted(touch.path)}`, ambiguous: true };
  };
}

function ownJudge(setting: Setting): TouchJudge {
  const { folders, scope } = setting;
  const forbidden = forbiddenJudge(setting);
  const lists = scope.filesystem.allowedPaths;
  const allowed = lists === undefined ? () => undefined : patternsOf(withFolders(lists), folders);
  const agentFiles = patternsOf(withFolders(scope.filesystem.agentFiles), folders);
  const mayWrite = (path: string): boolean =>
    folders.isDevice(path) ||
    folders.inTmp(path) ||
    folders.isCache(path) ||
    agentFiles(path) !== undefined ||
    (lists === undefined ? folders.inWorkspace(path) : allowed(path) !== undefined);
  const mayRead = (path: string): boolean => lists === undefined || folders.isSystem(path) || mayWrite(path) || folders.isPackage(path);
  return (touch) => {
    const finding = forbidden(touch);
    if (finding !== undefined) return finding;
    const { use, path } = touch;
    if (use === 'read')
      return mayRead(path)
        ? undefined
        : { rule: 'outside-scope', level: 'FLAG', reason: `read outside the allowed paths: ${quoted(path)}`, ambiguous: true };
    // What the session itself made may be taken away again.
    if (mayWrite(path) || (use === 'delete' && touch.existed === false)) return undefined;
    return { rule: 'write-outside', level: 'HALT', reason: `${use} outside the workspace: ${quoted(path)}` };
  };
}
