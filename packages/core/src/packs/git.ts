/** Git and the hosts of repositories, by tools and by commands: what rewrites history, publishes, or runs by itself. */
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList, celPattern, GIT } from './words.ts';

export interface GitOptions extends CommonOptions {
  /** Branches that others build on; `main`, `master`, `production` and `release` when absent. */
  readonly protected?: readonly string[] | undefined;
}

const DEFAULT_PROTECTED: readonly string[] = ['main', 'master', 'production', 'release'];

export const git: Pack<GitOptions> = definePack<GitOptions>(
  {
    name: 'git',
    version: '1',
    summary: 'rewritten history, pushes to protected branches, hooks, remotes, publishing',
    example: {},
    blind: ['Aliases of git, and hooks that are there already.', 'What the host of the repository does with a push.'],
    rules: ({ protected: branches = DEFAULT_PROTECTED }) => {
      const names = branches.map(escaped).join('|');
      const list = celList(branches);
      return [
        asks(
          'force-push',
          'the push replaces what others may have',
          command(String.raw`${GIT}push\b.*(?:\s--force|\s-\w*f\b|\s\+\S|\s--mirror|\s--delete\s|\s:\S)`),
        ),
        asks(
          'protected-branch',
          'the call changes a branch that others build on',
          `${command(String.raw`${GIT}push\b.*[\s:/](?:${names})(?:\s|$)`)} || ${TOOL_PUSHES} && ${branch(list)}`,
        ),
        asks(
          'history',
          'the command rewrites or throws away history',
          command(
            String.raw`${GIT}(?:filter-branch|filter-repo|reflog\s+(?:expire|delete)|reset\s+--hard|clean\s+-\w*f|update-ref\s+-d|gc\s+--prune|branch\s+-D|tag\s+-d|stash\s+(?:clear|drop))`,
          ),
        ),
        asks(
          'remote',
          'the command changes where git sends and gets',
          command(
            String.raw`${GIT}(?:remote\s+(?:add|set-url)|config\b.*(?:url\.|remote\.|core\.hookspath|core\.fsmonitor|core\.sshcommand|core\.pager|credential\.|alias\.))`,
            '(?i)',
          ),
        ),
        asks(
          'hook',
          'the call writes what git runs by itself',
          `writes(tool, args).exists(p, p.matches(${celPattern(String.raw`(?i)(?:^|[/\\])(?:\.git/(?:hooks/.*|config)|\.husky/.*|\.gitmodules)$`)}))`,
        ),
        asks('publish', 'the call makes code public, or deletes a repository', PUBLISHES),
        asks(
          'clone-runs',
          'the address lets git run a command',
          command(String.raw`\bext::|--upload-pack|--receive-pack|-c\s+(?:core\.sshcommand|protocol\.ext|core\.fsmonitor)`, '(?i)'),
        ),
      ];
    },
  },
  { protected: optionTexts.optional().describe('branches that others build on; main, master, production and release when absent') },
);

export function gitPack(options: GitOptions = {}): Policy {
  return packPolicy(git, options);
}

const TOOL_PUSHES = `named(tool, ${celList(['push', 'merge', 'delete', 'update', 'create', 'commit', 'protect', 'protection'])}) && (named(server, ${celList(['git', 'github', 'gitlab', 'bitbucket', 'gitea'])}) || named(tool, ["branch", "repo", "repository"]))`;
const PUBLISHES = `named(tool, ["gist"]) && named(tool, ["create", "update"]) || named(tool, ["repo", "repository"]) && (named(tool, ["delete", "transfer"]) || has(args.private) && args.private in [false, "false", 0] || has(args.visibility) && args.visibility == "public") || ${command(String.raw`\bgh\s+(?:gist\s+create|repo\s+(?:delete|edit\b.*--visibility|create\b.*--public))|\b(?:npm|yarn|pnpm)\s+publish\b|\btwine\s+upload\b|\bcargo\s+publish\b|\bgem\s+push\b`)}`;

/** The arguments name one of these branches. */
function branch(list: string): string {
  return ['branch', 'base', 'ref', 'branch_name']
    .map((name) => `(has(args.${name}) && args.${name} in ${list})`)
    .join(' || ')
    .replace(/^/, '(')
    .concat(')');
}

function command(pattern: string, flags = ''): string {
  return `commands(tool, args).exists(c, c.matches(${celPattern(flags + pattern)}))`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function asks(id: string, reason: string, when: string): Rule {
  const code = `GIT_${id.toUpperCase().replaceAll('-', '_')}`;
  return { id: `git.${id}`, tools: ANY_TOOL, when, effect: 'require_approval', reason, reason_code: code };
}
