/** Countersign's own files and processes, and the settings of agents and MCP clients. */
import type { Action } from '../../activity.ts';
import { agentConfigs } from '../agent-configs.ts';
import { isUnder } from '../path-text.ts';
import { programName } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';
import { patternsOf } from './scope-paths.ts';

/** What lies beside a database. */
const SIDE_FILES = ['', '-wal', '-shm', '-journal'];

export const OWN_FILES: RuleFamily = {
  rules: [
    {
      id: 'own-files',
      title: "Countersign's own files",
      explanation:
        'The ledger, its key, the logs and incidents were touched or a folder above them renamed, or the configuration was written. Reading the configuration is a flag: tools that search a folder do. HALT is for a moment: kernel control holds who opens what a guard uses too, until it is known whether it is one; who cuts, overwrites or links the ledger is none.',
      levels: ['FLAG', 'HALT', 'KILL'],
    },
    {
      id: 'own-process',
      title: "Countersign's own processes",
      explanation:
        'A signal to, the memory of, or control over a process that watches; also by way of `kill` with its number. FLAG: what lists of processes and open files read of everybody (its maps, what it waits for, what it has read and written); a signal to a whole group that it is of, or a handle of it, both of which kernel control refuses.',
      levels: ['FLAG', 'KILL'],
    },
    {
      id: 'client-config',
      title: 'Settings of an agent or MCP client were changed',
      explanation:
        'Written, deleted or replaced: what tells an agent which servers and commands it may use (`~/.openclaw/openclaw.json`, Claude, Cursor, VS Code, Windsurf, Codex, Zed, Gemini and others; files of a project too). `git` may write those of the workspace, as a flag. `agent_files` names what the watched agent writes itself.',
      levels: ['FLAG', 'KILL'],
    },
  ],
  kinds: ['read', 'write', 'delete', 'rename', 'load', 'memory', 'exec'],
  begin({ own, folders, scope }) {
    const spelled = (paths: readonly string[]): readonly string[] => paths.map((path) => folders.expand(path));
    const files = spelled(own.files).flatMap((file) => SIDE_FILES.map((side) => `${file}${side}`));
    const shared = spelled(own.shared);
    const databases = new Set(spelled(own.databases));
    /** As a guard may do it, that is known later. */
    const isUse = (action: Action, path: string): boolean =>
      (action.kind === 'read' || action.kind === 'write') && (action.by === undefined || !databases.has(path));
    const configs = spelled(own.configs);
    const agentFiles = patternsOf(scope.filesystem.agentFiles, folders);
    const isAgentConfig = agentConfigs(folders);
    const pids = new Set(own.pids);
    return {
      judge({ activity: { action, actor }, touches, programs, exe }, found) {
        if (action.kind === 'memory') {
          const { target, by } = action;
          // A script signals its own group to end what it started, without knowing that we are of it.
          if (pids.has(target))
            found({
              rule: 'own-process',
              level: by === 'group' || by === 'handle' ? 'FLAG' : 'KILL',
              reason: `${REACHES.get(by) ?? 'reached into'} the watching process ${target}`,
            });
          return;
        }
        for (const { name, words } of programs?.all ?? []) {
          if (!SIGNALLERS.has(name)) continue;
          const target = words.find(
            (word) => word !== undefined && /^-?\d{1,10}$/.test(word) && pids.has(Math.abs(Number(word))) && !isSignalNumber(word, words),
          );
          if (target !== undefined) found({ rule: 'own-process', level: 'KILL', reason: `${name} of the watching process ${target}` });
        }
        for (const { use, path, to } of touches) {
          // Whatever can be written there changes the process: its memory, or that it is the first to go when memory runs out.
          const inProc = path.startsWith('/proc/') ? (use === 'read' ? PROC_SECRETS : PROC_FILES).exec(path) : null;
          if (inProc !== null && pids.has(Number(inProc[1])))
            found({
              rule: 'own-process',
              level: use === 'read' && READ_OF_EVERYBODY.has(inProc[2] ?? '') ? 'FLAG' : 'KILL',
              reason: `${use} of ${quoted(path)}: the watching process`,
            });
          // We use them all the time: of what nobody is known to have done, most is ours. The ledger tells when they were changed.
          if (actor !== undefined && files.some((file) => isUnder(path, file)))
            found({ rule: 'own-files', level: 'KILL', reason: `${use} of a file of Countersign: ${quoted(path)}` });
          else if (actor !== undefined && shared.some((file) => isUnder(path, file)))
            found({
              rule: 'own-files',
              level: isUse(action, path) ? 'HALT' : 'KILL',
              reason: `${use} of a file of Countersign: ${quoted(path)}`,
            });
          // What is in a renamed folder has other names than those that are known.
          if (
            actor !== undefined &&
            use === 'delete' &&
            to !== undefined &&
            [...files, ...shared, ...configs].some((file) => isUnder(file, path))
          )
            found({ rule: 'own-files', level: 'KILL', reason: `another name for ${quoted(path)}, which holds files of Countersign` });
          if (configs.some((file) => isUnder(path, file)))
            found({ rule: 'own-files', level: use === 'read' ? 'FLAG' : 'KILL', reason: `${use} of the configuration of Countersign` });
          if (use === 'read') continue;
          const config = isAgentConfig(path);
          if (config === undefined || agentFiles(path) !== undefined) continue;
          const byGit = config === 'project' && programName(exe) === 'git' && folders.isSystem(exe);
          found({ rule: 'client-config', level: byGit ? 'FLAG' : 'KILL', reason: `${use} of the settings of an agent: ${quoted(path)}` });
        }
      },
    };
  },
};

/**
 * What tools read of every process there is (lsof, fuser, `ps -l`, htop, iotop): where its memory lies, not what is in it. What everybody
 * is shown (`stat`, `status`, `cmdline` ...) is not among it.
 */
const READ_OF_EVERYBODY: ReadonlySet<string> = new Set(['maps', 'smaps', 'smaps_rollup', 'numa_maps', 'wchan', 'io']);
/** Besides them: its memory, environment, files and folders, and what nobody reads who does not mean this very process. */
const PROC_SECRETS =
  /^\/proc\/(\d{1,10})\/(?:task\/\d{1,10}\/)?(mem|cwd|root|fd|fdinfo|environ|map_files|pagemap|auxv|syscall|stack|latency|timers|personality|maps|smaps|smaps_rollup|numa_maps|wchan|io)(?:\/|$)/;
const PROC_FILES = /^\/proc\/(\d{1,10})\//;
const REACHES: ReadonlyMap<string | undefined, string> = new Map([
  ['signal', 'signalled'],
  ['group', 'signalled a group of'],
  ['control', 'took control of'],
  ['handle', 'took a handle of'],
]);

const SIGNALLERS: ReadonlySet<string> = new Set([
  'kill',
  'pkill',
  'tgkill',
  'gdb',
  'strace',
  'ltrace',
  'lldb',
  'gcore',
  'prlimit',
  'renice',
  'nsenter',
  'reptyr',
]);

/** `kill -9 1234`: the number of a signal stands first. */
function isSignalNumber(word: string, words: readonly (string | undefined)[]): boolean {
  return word.startsWith('-') && words.indexOf(word) === 1 && Number(word) >= -64 && words.length > 2;
}
