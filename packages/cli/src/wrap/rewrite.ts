/** Files rewritten, or only what would change, told to people and programs. */
import { createRedactor, type Redactor } from '@countersign/core';
import { type Output, safe } from '../output.ts';
import { replaceConfigFile } from './config-file.ts';
import { unifiedDiff } from './diff.ts';
import { hiddenValues, type Rewritten, type ServerReport } from './server-list.ts';
import type { Target } from './target.ts';

export interface Rewrite {
  readonly target: Target;
  readonly result: Rewritten;
}

const STATUS_STYLES = {
  wrapped: 'good',
  updated: 'good',
  restored: 'good',
  unchanged: 'dim',
  'not-wrapped': 'warn',
  'left-alone': 'warn',
} as const;
const STATUS_CHARS = 11;
/** A file on one line is shown as far as a reader will follow. */
const MAX_DIFF_LINE_CHARS = 2_000;
/** What `--header-env` is given: `remote-entry.ts` writes it. */
const HEADER_WORD = /(?<quote>["'])(?<name>[^"'=\s]{1,128})=(?<variable>COUNTERSIGN_HEADER_[1-9][0-9]?)\k<quote>/g;

/** Writes what changed, unless `isDryRun`, and tells it. @returns the same for `--json`. */
export function carryOut(rewrites: readonly Rewrite[], isDryRun: boolean, output: Output): readonly unknown[] {
  return rewrites.map(({ target, result }) => {
    const { file } = target;
    const isChanged = result.text !== file.text;
    const backup = isChanged && !isDryRun ? replaceConfigFile(file, result.text) : undefined;
    const diff = isDryRun ? shownDiff({ target, result }) : [];
    output.line(output.style('bold', safe(file.path)));
    for (const server of result.servers) output.line(serverLine(server, output));
    if (result.servers.length === 0) output.line('  no servers that this is about');
    if (backup !== undefined) output.line(`  back-up: ${safe(backup)}`);
    for (const line of diff) output.line(diffLine(line, output));
    output.line();
    return {
      file: file.path,
      changed: isChanged && !isDryRun,
      backup: backup ?? null,
      servers: result.servers.map(serverJson),
      ...(isDryRun && { would_change: isChanged, diff }),
    };
  });
}

function serverLine({ name, project, status, server, why }: ServerReport, output: Output): string {
  const word = output.style(STATUS_STYLES[status], status.padEnd(STATUS_CHARS));
  const where = project === undefined ? '' : ` of ${safe(project)}`;
  const named = server === undefined || server === name ? '' : `, ${server} in rules`;
  return `  ${word}  ${safe(name)}${where}${named}${why === undefined ? '' : `: ${safe(why)}`}`;
}

function serverJson({ name, project, status, server, config, why }: ServerReport): Record<string, unknown> {
  return { name, project: project ?? null, status, server: server ?? null, config: config ?? null, why: why ?? null };
}

/** Values of `env` and headers are left out, and so is what looks like a secret anywhere else. */
function shownDiff({ target: { client, file }, result }: Rewrite): readonly string[] {
  const redactor = createRedactor();
  const hidden = (text: string): string => hiddenValues({ ...client, path: file.path, text });
  // Redacted whole, then cut: the half of a secret is not known for one.
  return unifiedDiff(hidden(file.text), hidden(result.text), file.path).map((line) =>
    safe(redactedLine(line.replace(/\r$/, ''), redactor).slice(0, MAX_DIFF_LINE_CHARS)),
  );
}

/** What stands for the value of a header is the name of a variable, and no secret. Quotes stay in pairs on either side of it. */
function redactedLine(line: string, redactor: Redactor): string {
  let shown = '';
  let from = 0;
  for (const { 0: whole, index, groups } of line.matchAll(HEADER_WORD)) {
    const { quote = '', name = '', variable = '' } = groups ?? {};
    shown += `${redactor.text(line.slice(from, index))}${quote}${redactor.text(name)}=${variable}${quote}`;
    from = index + whole.length;
  }
  return shown + redactor.text(line.slice(from));
}

function diffLine(line: string, output: Output): string {
  if (line.startsWith('+')) return output.style('good', line);
  return output.style(line.startsWith('-') ? 'bad' : 'dim', line);
}
