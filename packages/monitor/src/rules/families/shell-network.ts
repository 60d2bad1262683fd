/** Shells that are handed to the network, and scripts that come from it. */
import type { Program } from '../programs.ts';
import { programName } from '../programs.ts';
import { quoted } from '../quoted.ts';
import type { RuleFamily } from '../rule.ts';

const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'fish', 'csh', 'tcsh', 'mksh', 'pwsh']);

export const SHELL_NETWORK: RuleFamily = {
  rules: [
    {
      id: 'reverse-shell',
      title: 'A shell at the other end of a connection',
      explanation:
        'A shell connects to another host itself (`/dev/tcp`), or a program ties one to a connection: `nc -e`, `socat EXEC:`, a line of Python, Perl, Ruby, PHP or awk that opens a socket and starts a shell.',
      levels: ['KILL'],
    },
    {
      id: 'download-and-run',
      title: 'What came from the network is run',
      explanation: 'A command line that pipes or puts a download into a shell or interpreter: `curl … | sh`.',
      levels: ['HALT'],
    },
  ],
  kinds: ['exec', 'connect'],
  begin() {
    return {
      judge({ programs, destination, exe }, found) {
        if (destination !== undefined) {
          if (!destination.local && SHELLS.has(programName(exe)))
            found({ rule: 'reverse-shell', level: 'KILL', reason: `${programName(exe)} connects to ${quoted(destination.name)} itself` });
          return;
        }
        if (programs === undefined) return;
        const tied = programs.all.find(tiesShell);
        if (tied !== undefined) found({ rule: 'reverse-shell', level: 'KILL', reason: `${tied.name} ties a shell to a connection` });
        if (programs.analysis.found.includes('downloadsAndRuns'))
          found({
            rule: 'download-and-run',
            level: 'HALT',
            reason: `what ${quoted(programs.analysis.hosts[0] ?? 'another host')} sends is run`,
          });
      },
    };
  },
};

const NETCATS: ReadonlySet<string> = new Set(['nc', 'ncat', 'netcat', 'nc.openbsd', 'nc.traditional', 'cryptcat', 'pwncat']);
/** Longest word that is searched. */
const MAX_CODE_CHARS = 65_536;

function tiesShell({ name, words }: Program): boolean {
  if (NETCATS.has(name))
    return words.some(
      (word) => /^(?:-[a-zA-Z0-9]*[ec]|--(?:sh-)?exec|--lua-exec)(?:=.*|$)/.test(word ?? '') || /^-[ec]\/?\w*(?:sh|bash)$/.test(word ?? ''),
    );
  if (name === 'socat') return words.some((word) => /(?:^|[^a-z])(?:exec|system|shell)(?::|=|,|$)/i.test(word ?? ''));
  if (SHELLS.has(name))
    return words.some(
      (word) => /\/dev\/(?:tcp|udp)\/[^\s/]+\/\d+/.test(cut(word)) && /[<>]&|exec\s+\d*<>|\b(?:ba|z|da|k)?sh\b\s+-i/.test(cut(word)),
    );
  if (/^(?:python|perl|ruby|php|lua|node|nodejs|awk|gawk|mawk|nawk|tclsh|expect)[\d.]*$/.test(name))
    return words.some((word) => isShellCode(cut(word)));
  if (name === 'telnet' || name === 'openssl' || name === 'busybox') return false;
  return false;
}

/** One line of code that opens a connection, and hands it to a shell or starts one. */
function isShellCode(code: string): boolean {
  const connects = /\bsocket\b|TCPSocket|fsockopen|\/inet\/(?:tcp|udp)\/|net\.(?:connect|Socket|createConnection)|IO::Socket/i.test(code);
  const shell = /(?:\/bin\/)?\b(?:ba|z|da|k)?sh\b(?:['"\s]|$)|\bpty\.spawn|cmd\.exe|os\.dup2|\bpowershell\b/.test(code);
  const starts =
    /subprocess|os\.(?:system|dup2|exec|popen)|pty\.spawn|\bexec\b|\bspawn\b|popen|proc_open|shell_exec|dup2|getline|\bopen\s*\(?\s*STDIN|`/.test(
      code,
    );
  return connects && shell && starts;
}

function cut(word: string | undefined): string {
  return word === undefined ? '' : word.slice(0, MAX_CODE_CHARS);
}
