/** Programs that were not installed: without a file, from shared memory, or written by this very session. */

import type { Folders } from '../folders.ts';
import { isUnder } from '../path-text.ts';
import { DELETED, programName } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';
import type { Seen } from '../seen.ts';
import { NeverForgets } from '../window.ts';

export const FOREIGN_CODE: RuleFamily = {
  rules: [
    {
      id: 'fileless-exec',
      title: 'A program without a file',
      explanation:
        'Run from memory (`memfd`), from a descriptor, or from shared memory (`/dev/shm`, `/run/shm`): nothing is left to look at.',
      levels: ['KILL'],
    },
    {
      id: 'dropped-exec',
      title: 'A program this session wrote',
      explanation:
        'Run, or loaded as native code, from outside of the workspace, after this session wrote it. What compilers and linkers wrote, and what lies in package folders and caches, is a flag.',
      levels: ['FLAG', 'HALT'],
    },
    {
      id: 'preload',
      title: 'Code put into other programs',
      explanation:
        'A program is started with `LD_PRELOAD`, `LD_AUDIT` or `DYLD_INSERT_LIBRARIES` on its command line, for a library outside of system folders.',
      levels: ['HALT'],
    },
  ],
  kinds: ['write', 'rename', 'exec', 'load'],
  begin({ folders }) {
    /** Whatever was written outside of the workspace; never forgotten, so that no flood hides a name. */
    const written = new NeverForgets();
    const compiled = new NeverForgets();
    return {
      judge(seen, found) {
        const { action } = seen.activity;
        if (action.kind === 'write' || action.kind === 'rename') remember(seen, written, compiled, folders);
        if (action.kind === 'exec') {
          if (isFileless(action.exe, seen.exe))
            found({ rule: 'fileless-exec', level: 'KILL', reason: `a program without a file is run: ${quoted(action.exe)}` });
          const preload = seen.programs?.all.flatMap(({ words }) => words).find((word) => isForeignPreload(word, folders));
          if (preload !== undefined)
            found({ rule: 'preload', level: 'HALT', reason: `a library is put into a program: ${quoted(preload)}` });
        }
        if (action.kind !== 'exec' && action.kind !== 'load') return;
        if (action.kind === 'load' && isFileless(action.path, seen.touches[0]?.path ?? ''))
          found({ rule: 'fileless-exec', level: 'KILL', reason: `native code without a file is loaded: ${quoted(action.path)}` });
        const paths = action.kind === 'exec' ? [seen.exe, ...scriptsOf(seen, folders)] : seen.touches.map(({ path }) => path);
        const dropped = paths.find((path) => isOutside(path, folders) && written.has(path));
        if (dropped === undefined) return;
        const isMild = (compiled.has(dropped) && dropped === seen.exe) || folders.isPackage(dropped) || folders.isCache(dropped);
        found({ rule: 'dropped-exec', level: isMild ? 'FLAG' : 'HALT', reason: `what this session wrote is run: ${quoted(dropped)}` });
      },
    };
  },
};

function isFileless(exe: string, normal: string): boolean {
  const path = exe.endsWith(DELETED) ? exe.slice(0, -DELETED.length) : exe;
  if (/^\/?memfd:/.test(path) || path.startsWith('anon_inode:')) return true;
  return (
    /^\/proc\/(?:self|thread-self|\d+)\/(?:task\/\d+\/)?fd\/\d+$/.test(normal) ||
    /^\/dev\/fd\/\d+$/.test(normal) ||
    isUnder(normal, '/dev/shm') ||
    isUnder(normal, '/run/shm') ||
    isUnder(normal, '/dev/mqueue')
  );
}

const COMPILERS: ReadonlySet<string> = new Set([
  'ld',
  'ld.bfd',
  'ld.gold',
  'ld.lld',
  'lld',
  'mold',
  'collect2',
  'link',
  'rustc',
  'clang',
  'gcc',
  'cc',
  'g++',
  'c++',
  'tcc',
  'as',
  'go',
  'asm',
  'compile',
  'ghc',
  'swiftc',
  'ocamlopt',
]);

function remember({ touches, exe }: Seen, written: NeverForgets, compiled: NeverForgets, folders: Folders): void {
  for (const { use, path, to } of touches) {
    if (use === 'delete' && to !== undefined && compiled.has(path)) compiled.add(to);
    if (use !== 'write' || !isOutside(path, folders)) continue;
    written.add(path);
    if (COMPILERS.has(programName(exe)) && !folders.inTmp(exe) && !folders.inWorkspace(exe)) compiled.add(path);
  }
}

function isOutside(path: string, folders: Folders): boolean {
  return path.startsWith('/') && !folders.inWorkspace(path) && !folders.isDevice(path);
}

/** What an interpreter is given to run. */
function scriptsOf({ programs }: Seen, folders: Folders): readonly string[] {
  const scripts = programs?.analysis.scripts ?? [];
  const direct = programs?.all
    .filter(({ name }) => INTERPRETER.test(name))
    .map(({ words }) => words.slice(1).find((word) => word?.startsWith('-') !== true))
    .filter((word): word is string => word?.startsWith('/') === true);
  return [...new Set([...scripts, ...(direct ?? [])])]
    .filter((path) => path.startsWith('/'))
    .slice(0, MAX_SCRIPTS)
    .map((path) => folders.expand(path));
}
const MAX_SCRIPTS = 20;
const INTERPRETER = /^(?:sh|bash|dash|zsh|ksh|ash|node|nodejs|bun|deno|python|perl|ruby|php|lua)[\d.]*$/;

function isForeignPreload(word: string | undefined, folders: Folders): boolean {
  const library = /^(?:LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES)=(.+)$/.exec(word ?? '')?.[1];
  return library !== undefined && !library.split(/[:\s]+/).every((path) => path === '' || folders.isSystem(path));
}
