/** Ordinary code: files of this repository and of what it depends on, chosen by the hash of their path. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';

const ROOT = new URL('../../../../../', import.meta.url);
const FOLDERS = ['packages/', 'examples/', 'bench/', 'docs/', 'node_modules/'];
/**
 * The redaction's own code speaks of secrets on every line, and our tests plant them on purpose; built files are copies. Two READMEs
 * of one GitHub client write `authorization: "token secret123"` nineteen times, rightly found, and would be half of all in markdown.
 */
const LEFT_OUT = /^packages\/[^/]+\/test\/|^node_modules\/@octokit\/|\/(?:redact|dist|coverage|\.git|\.turbo)\/|\.tsbuildinfo$/;
const MAX_FILE_BYTES = 4_000_000;

const LANGUAGES: readonly (readonly [string, RegExp])[] = [
  ['declarations', /\.d\.[cm]?ts$/],
  ['source maps', /\.map$/],
  ['minified', /\.min\.[cm]?js$/],
  ['typescript', /\.[cm]?tsx?$/],
  ['javascript', /\.[cm]?jsx?$/],
  ['json', /\.json$/],
  ['markdown', /\.(?:md|markdown|mdx|txt)$/],
  ['css', /\.(?:css|scss|less)$/],
  ['html', /\.(?:html?|svg|xml)$/],
  ['c and c++', /\.(?:c|h|cc|cpp|hpp)$/],
  ['python, shell, yaml', /\.(?:py|gypi?|sh|ya?ml|toml|ps1|cmd)$/],
];

export interface CodeFile {
  readonly path: string;
  readonly language: string;
  readonly text: string;
}

/**
 * Files whose names hash lowest, until there are `bytes` of them; the repository's own first, all of them. The same for the
 * same installed packages.
 */
export function codeFiles(bytes: number): readonly CodeFile[] {
  const files: CodeFile[] = [];
  let sum = 0;
  for (const path of FOLDERS.flatMap((folder) => ordered(folder))) {
    if (sum >= bytes) break;
    const url = new URL(encodeURI(path), ROOT);
    if (statSync(url).size > MAX_FILE_BYTES) continue;
    const text = readFileSync(url, 'utf8');
    sum += text.length;
    files.push({ path, language: languageOf(path, text), text });
  }
  return files;
}

function ordered(folder: string): readonly string[] {
  return listed(folder)
    .map((path) => ({ path, rank: createHash('sha1').update(path).digest('hex') }))
    .toSorted((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ path }) => path);
}

function listed(folder: string): readonly string[] {
  const found: string[] = [];
  for (const entry of readdirSync(new URL(encodeURI(folder), ROOT), { withFileTypes: true })) {
    const path = `${folder}${entry.name}`;
    if (LEFT_OUT.test(`${path}/`)) continue;
    // Workspaces are links in node_modules, and are their own folder already.
    if (entry.isDirectory() && (folder === 'node_modules/' || entry.name !== 'node_modules')) found.push(...listed(`${path}/`));
    else if (entry.isFile() && LANGUAGES.some(([, pattern]) => pattern.test(path))) found.push(path);
  }
  return found;
}

function languageOf(path: string, text: string): string {
  const language = LANGUAGES.find(([, pattern]) => pattern.test(path))?.[0] ?? 'other';
  const lines = text.split('\n', 400).length;
  return language === 'javascript' && text.length / lines > 400 ? 'minified' : language;
}
