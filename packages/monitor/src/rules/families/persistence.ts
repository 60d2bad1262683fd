/** What outlives the session: jobs, shell start files, hooks, units, keys of others; and getting more rights. */
import { byFirst, firstOf, isUnder } from '../path-text.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';

/** Below a home. */
const HOME_FILES: ReadonlySet<string> = new Set([
  '/.bashrc',
  '/.bash_profile',
  '/.bash_login',
  '/.bash_logout',
  '/.bash_aliases',
  '/.profile',
  '/.zshrc',
  '/.zprofile',
  '/.zshenv',
  '/.zlogin',
  '/.zlogout',
  '/.kshrc',
  '/.cshrc',
  '/.tcshrc',
  '/.login',
  '/.xprofile',
  '/.xinitrc',
  '/.xsession',
  '/.xsessionrc',
  '/.pam_environment',
  '/.inputrc',
  '/.config/fish/config.fish',
  '/.config/git/config',
  '/.gitconfig',
  '/.pythonrc',
  '/.pythonrc.py',
  '/.vimrc',
  '/.forward',
  '/.procmailrc',
]);
const HOME_FOLDERS: readonly string[] = [
  '/.config/systemd',
  '/.local/share/systemd',
  '/.config/autostart',
  '/.config/autostart-scripts',
  '/.config/environment.d',
  '/.config/fish/conf.d',
  '/.config/fish/functions',
  '/.bashrc.d',
  '/.zshrc.d',
  '/.oh-my-zsh/custom',
  '/.config/git/hooks',
  '/.git-templates',
  '/Library/LaunchAgents',
  '/library/launchagents',
  '/.config/nushell',
  '/.config/upstart',
];
const SYSTEM_PLACES: readonly string[] = [
  '/etc/crontab',
  '/etc/cron.d',
  '/etc/cron.daily',
  '/etc/cron.hourly',
  '/etc/cron.weekly',
  '/etc/cron.monthly',
  '/etc/anacrontab',
  '/var/spool/cron',
  '/var/spool/at',
  '/etc/systemd',
  '/usr/lib/systemd',
  '/lib/systemd',
  '/run/systemd/system',
  '/etc/init.d',
  '/etc/rc.local',
  '/etc/rc.d',
  '/etc/profile',
  '/etc/profile.d',
  '/etc/bash.bashrc',
  '/etc/zsh',
  '/etc/zshrc',
  '/etc/environment',
  '/etc/ld.so.preload',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/pam.d',
  '/etc/xdg/autostart',
  '/etc/udev/rules.d',
  '/etc/modules-load.d',
  '/etc/sudoers',
  '/etc/sudoers.d',
  '/etc/passwd',
  '/etc/shadow',
  '/Library/LaunchAgents',
  '/Library/LaunchDaemons',
  '/library/launchagents',
  '/library/launchdaemons',
  '/etc/hosts.equiv',
];
const SYSTEM_STARTS = byFirst(SYSTEM_PLACES, (place) => place);
/** Programs that make a job or unit. */
const TOOLS: ReadonlySet<string> = new Set(['crontab', 'at', 'batch', 'launchctl', 'update-rc.d', 'chkconfig']);
const HARMLESS: ReadonlySet<string | undefined> = new Set(['-l', '--list', 'list', 'print', '--help', '--version', 'version']);

export const PERSISTENCE: RuleFamily = {
  rules: [
    {
      id: 'persistence',
      title: 'Something that starts again later',
      explanation:
        'Written: cron jobs, start files of shells, systemd units, autostart entries, launch agents, git hooks (not `.sample` files), `authorized_keys`, `/etc/ld.so.preload`. Started: `crontab`, `at`, `systemctl enable`, `launchctl load`, `git config core.hooksPath` outside the workspace.',
      levels: ['HALT'],
    },
  ],
  kinds: ['write', 'rename', 'exec'],
  begin({ folders }) {
    return {
      judge({ touches, programs }, found) {
        const tell = (what: string): void => found({ rule: 'persistence', level: 'HALT', reason: `starts again later: ${what}` });
        for (const { use, path } of touches) {
          if (use !== 'write') continue;
          const rest = folders.inAnyHome(path);
          const inHome = rest !== undefined && (HOME_FILES.has(rest) || HOME_FOLDERS.some((folder) => isUnder(rest, folder)));
          if (
            inHome ||
            SYSTEM_STARTS.get(firstOf(path))?.some((place) => isUnder(path, place)) === true ||
            path.endsWith('/.ssh/authorized_keys') ||
            isGitHook(path)
          )
            tell(`write of ${quoted(path)}`);
        }
        for (const { name, words } of programs?.all ?? []) {
          const first = words[1];
          if (TOOLS.has(name) && !words.some((word) => HARMLESS.has(word))) tell(`${name} started`);
          else if (name === 'systemctl' && words.some((word) => word === 'enable' || word === 'link' || word === 'edit'))
            tell('systemctl makes a unit start');
          else if (
            name === 'systemd-run' &&
            words.some((word) => word?.startsWith('--on-') === true || word?.startsWith('--timer') === true)
          )
            tell('systemd-run sets a timer');
          else if (name === 'git' && first === 'config' && isGlobalHookPath(words)) tell('git hooks for all repositories');
        }
      },
    };
  },
};

/** Git itself puts examples there, which do nothing. */
function isGitHook(path: string): boolean {
  if (!path.includes('/hooks/') || path.endsWith('.sample')) return false;
  return /\/(?:\.git|[^/]+\.git|modules\/[^/]+)\/hooks\/[^/]+$/.test(path);
}

function isGlobalHookPath(words: readonly (string | undefined)[]): boolean {
  const keys = words.some((word) =>
    /^(?:core\.hookspath|core\.fsmonitor|core\.sshcommand|core\.editor|core\.pager|init\.templatedir|alias\..*|filter\..*)$/i.test(
      word ?? '',
    ),
  );
  return (
    keys &&
    words.some((word) => word === '--global' || word === '--system') &&
    !words.some((word) => /^--(?:get|list|unset)/.test(word ?? ''))
  );
}

const RIGHTS: ReadonlySet<string> = new Set([
  'sudo',
  'su',
  'pkexec',
  'doas',
  'runuser',
  'gosu',
  'su-exec',
  'machinectl',
  'sudoedit',
  'visudo',
  'newuidmap',
  'setcap',
  'chroot',
  'nsenter',
  'please',
  'run0',
  'dzdo',
  'osascript-admin',
]);

export const PRIVILEGE: RuleFamily = {
  rules: [
    {
      id: 'privilege',
      title: 'Getting more rights',
      explanation: '`sudo`, `su`, `pkexec`, `doas` and their like were started, or a file was made setuid.',
      levels: ['HALT'],
    },
  ],
  kinds: ['exec'],
  begin() {
    return {
      judge({ programs }, found) {
        for (const { name, words } of programs?.all ?? []) {
          const isSetuid =
            name === 'chmod' &&
            words.some((word) => /^(?:[ugoa]*[+=][rwxXt]*s|0?[4-7]\d{3})/.test(word ?? '') && !/^0?[4-7]\d{2}$/.test(word ?? ''));
          if (!RIGHTS.has(name) && !isSetuid) continue;
          found({ rule: 'privilege', level: 'HALT', reason: isSetuid ? 'chmod makes a file setuid' : `${name} started` });
          return;
        }
      },
    };
  },
};
