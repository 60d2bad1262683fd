/**
 * Paths that try to leave a folder, and paths of ordinary work in it. Written for Countersign; the ideas are those of path
 * traversal lists everywhere. The tree they are about is made by `pathTree`.
 */
import { chmodSync, linkSync, mkdirSync, mkdtempSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PathTree {
  /** Where all of it lies; the folder that rules allow is `data` in it. */
  readonly top: string;
  readonly data: string;
}

/** `data` with files and links, `outside` and `data-evil` beside it. */
export function pathTree(): PathTree {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-paths-')));
  const data = join(top, 'data');
  for (const folder of ['data/sub/deep', 'data/Ümläut', 'data/with space', 'data/locked', 'outside/inner', 'data-evil', 'data/.hidden'])
    mkdirSync(join(top, folder), { recursive: true });
  const files = ['report.txt', 'sub/deep/file.txt', 'Ümläut/naïve.txt', 'with space/a b.txt', '.hidden/.env', 'locked/key'];
  for (const file of files) writeFileSync(join(data, file), file);
  for (const file of ['outside/secret.txt', 'outside/inner/more.txt', 'data-evil/x.txt']) writeFileSync(join(top, file), file);
  const links: readonly (readonly [string, string])[] = [
    ['out', '../outside'],
    ['out-absolute', join(top, 'outside')],
    ['out-file', '../outside/secret.txt'],
    ['out-chain', 'chain-2'],
    ['chain-2', 'sub/../chain-3'],
    ['chain-3', 'out'],
    ['up', '..'],
    ['top', '/'],
    ['loop-a', 'loop-b'],
    ['loop-b', 'loop-a'],
    ['self', 'self'],
    ['self-below', 'self-below/x'],
    ['dangling', '../outside/not-yet'],
    ['dangling-up', 'not-yet/../../outside'],
    ['through-file', 'report.txt/../../outside'],
    ['process-root', '/proc/self/root'],
    ['process-folder', '/proc/self/cwd'],
    ['process-other', '/proc/1/root'],
    ['descriptor', '/dev/fd/0'],
    ['standard-input', '/dev/stdin'],
    ['evil', '../data-evil'],
    ['sub/climb', '../../outside'],
    ['in', 'sub'],
    ['in-absolute', join(data, 'sub')],
    ['in-chain', 'in'],
    ['in-file', 'sub/deep/file.txt'],
    ['in-and-back', '../data/sub'],
    ['in-dangling', 'sub/not-yet.txt'],
    ['a b', '../outside'],
    ['link', '../outside'],
    ['naïve', '../outside'],
  ];
  for (const [name, target] of links) symlinkSync(target, join(data, name));
  for (let step = 0; step < 60; step++) symlinkSync(step === 59 ? '../outside' : `long-${step + 1}`, join(data, `long-${step}`));
  linkSync(join(data, 'report.txt'), join(data, 'second-name.txt'));
  chmodSync(join(data, 'locked'), 0);
  return { top, data };
}

/** True where a folder without rights keeps this process out: not for root. */
export const IS_KEPT_OUT: boolean = process.getuid?.() !== 0;

type Entry = readonly [name: string, path: (tree: PathTree) => unknown];

const below =
  (path: string) =>
  ({ data }: PathTree): string =>
    `${data}/${path}`;
const exactly = (path: unknown) => (): unknown => path;
const list = (make: (path: string) => Entry[1], ...paths: readonly string[]): readonly Entry[] => paths.map((path) => [path, make(path)]);

/** None of these is inside, or nobody can say that it is. Relative ones are meant from `data`. */
export const PATH_ATTACKS: readonly Entry[] = [
  // Climbing out.
  ...list(exactly, '..', '../outside/secret.txt', '../../etc/passwd', 'sub/../../outside', './.././outside', 'sub/deep/../../../outside'),
  ...list(exactly, '../data-evil/x.txt', '../data/../outside', '../../../../../../../../../../etc/passwd', 'nope/../../outside'),
  ...list(below, '..', '../', '../outside/secret.txt', 'sub/../../outside', 'sub//..//..//outside', 'report.txt/../../outside'),
  ...list(below, './../outside', 'sub/./../.././outside', 'nope/nope/../../../outside', '../data-evil/x.txt', '../Data/x'),
  ['a sibling with the same beginning', ({ data }) => `${data}-evil/x.txt`],
  ['the folder above', ({ top }) => top],
  ['the root', exactly('/')],
  ...list(exactly, '/etc/passwd', '/etc/shadow', '/root/.ssh/id_rsa', '/', '/./', '/..'),
  // Encoded.
  ...list(below, '..%2foutside', '%2e%2e/outside', '%2e%2e%2foutside', '..%2Foutside%2Fsecret.txt', '.%2e/outside', '%2E%2E%2Foutside'),
  ...list(below, '..%252foutside', '%252e%252e%252foutside', '..%25252foutside', '%25252e%25252e/outside', '..%2525252foutside'),
  ...list(below, '..%5coutside', '..%255coutside', '%c0%ae%c0%ae/outside', '..%c0%afoutside', '..%ef%bc%8foutside', '%00/x', 'a%00.txt'),
  ...list(below, 'a%20b/secret.txt', '%6cink/secret.txt', 'li%6ek/secret.txt', '%6c%69%6e%6b', 'sub%2f..%2f..%2foutside', '%e0%80%ae/x'),
  ...list(exactly, '%2e%2e/outside', '..%2foutside', '%2fetc%2fpasswd', '%252fetc%252fpasswd', '%2e%2e'),
  // Links.
  ...list(below, 'out', 'out/', 'out/secret.txt', 'out/inner/more.txt', 'out-absolute/secret.txt', 'out-file', 'out-chain/secret.txt'),
  ...list(below, 'chain-2', 'up/outside/secret.txt', 'up', 'up/data-evil', 'top/etc/passwd', 'top', 'evil/x.txt', 'sub/climb/secret.txt'),
  ...list(
    below,
    'loop-a',
    'loop-a/x',
    'self',
    'self-below',
    'dangling',
    'dangling/x',
    'dangling-up/x',
    'through-file',
    'long-0/secret.txt',
  ),
  ...list(
    below,
    'out/../report.txt',
    'out/../outside/secret.txt',
    'out/inner/../../data-evil/x.txt',
    'in/../../outside',
    'out/../data-evil',
  ),
  ...list(exactly, 'out/secret.txt', 'out-chain', 'up/outside', 'loop-a', 'dangling'),
  // The process that looks.
  ...list(below, 'process-root/etc/passwd', 'process-folder/x', 'process-other/etc', 'descriptor', 'standard-input'),
  ...list(
    exactly,
    '/proc/self/root/etc/passwd',
    '/proc/self/cwd',
    '/proc/thread-self/root',
    '/proc/1/root/etc',
    '/proc/self/fd/3',
    '/proc/self/environ',
  ),
  ...list(exactly, '/dev/fd/0', '/dev/stdin', '/dev/stdout'),
  ['the folder through its own process', ({ data }) => `/proc/self/root${data}/report.txt`],
  ['the folder through another process', ({ data }) => `/proc/1/root${data}/report.txt`],
  // Case and Unicode.
  ['capital letters', ({ top }) => `${top}/DATA/report.txt`],
  ['a fullwidth slash', ({ data }) => `${data}/..\uff0foutside`],
  ['fullwidth dots', ({ data }) => `${data}/\uff0e\uff0e/outside`],
  ['a fullwidth backslash', ({ data }) => `${data}/..\uff3coutside`],
  ['small full stops', ({ data }) => `${data}/\ufe52\ufe52/outside`],
  ['a two dot leader', ({ data }) => `${data}/\u2025/outside`],
  ['one dot leaders', ({ data }) => `${data}/\u2024\u2024/outside`],
  ['a division slash', ({ data }) => `${data}/..\u2215outside`],
  ['a fraction slash', ({ data }) => `${data}/..\u2044outside`],
  ['a big solidus', ({ data }) => `${data}/..\u29f8outside`],
  ['a set minus', ({ data }) => `${data}/..\u2216outside`],
  ['fullwidth letters of a link', ({ data }) => `${data}/\uff4c\uff49\uff4e\uff4b/secret.txt`],
  ['a ligature that folds to a link', ({ data }) => `${data}/\u217cink/secret.txt`],
  ['a link whose name is decomposed', ({ data }) => `${data}/nai\u0308ve/secret.txt`],
  ['a homoglyph of the folder', ({ top }) => `${top}/d\u0430ta/report.txt`],
  ['a zero width space in the folder', ({ top }) => `${top}/da\u200bta/report.txt`],
  ['zero width in dots', ({ data }) => `${data}/.\u200b./outside`],
  ['a zero width joiner', ({ data }) => `${data}/.\u200d./outside`],
  ['a soft hyphen', ({ data }) => `${data}/.\u00ad./outside`],
  ['a byte order mark', ({ data }) => `\ufeff${data}/report.txt`],
  ['a word joiner', ({ data }) => `${data}/li\u2060nk/secret.txt`],
  ['a variation selector', ({ data }) => `${data}/link\ufe0f/secret.txt`],
  ['a Hangul filler', ({ data }) => `${data}/\u3164/x`],
  ['reading order turned', ({ data }) => `${data}/\u202etxt.terces/x`],
  ['reading order isolated', ({ data }) => `${data}/\u2066x\u2069`],
  ['a lone surrogate', ({ data }) => `${data}/\ud800`],
  ['a line separator', ({ data }) => `${data}/a\u2028b`],
  // Controls and spaces.
  ['NUL at the end', ({ data }) => `${data}/report.txt\0`],
  ['NUL before an extension', ({ data }) => `${data}/../outside/secret.txt\0.png`],
  ['a new line', ({ data }) => `${data}/report.txt\n../outside`],
  ['a carriage return', ({ data }) => `${data}/report.txt\r`],
  ['a tab', ({ data }) => `${data}/\t/x`],
  ['an escape', ({ data }) => `${data}/\u001b[2K`],
  ['a delete', ({ data }) => `${data}/..\u007f/outside`],
  ...list(below, '.. /outside', '... /x', '..../outside', '.../x', '.. ./x', '. ./x', 'sub /x', 'report.txt ', ' . /x'),
  ['a space before', ({ data }) => ` ${data}/report.txt`],
  ['a no-break space after', ({ data }) => `${data}/report.txt\u00a0`],
  // Other systems.
  ...list(below, '..\\outside', 'sub\\..\\..\\outside', '\\', 'sub\\file.txt'),
  ...list(
    exactly,
    'C:\\Windows\\win.ini',
    'c:/windows/win.ini',
    'C:',
    '\\\\host\\share\\x',
    '\\\\?\\C:\\x',
    '..\\outside',
    '//host/share/x',
    '//./x',
  ),
  // URLs.
  ['a file URL', ({ data }) => `file://${data}/report.txt`],
  ['a file URL with a host', ({ data }) => `file://evil.example${data}/report.txt`],
  ['a file URL with one slash', ({ data }) => `file:${data}/report.txt`],
  ...list(
    exactly,
    'file:///etc/passwd',
    'FILE:///etc/passwd',
    'file:etc',
    'http://evil.example/x',
    'jar:file:///x!/y',
    'data:text/plain,x',
    'php://filter/x',
  ),
  // What others expand.
  ...list(
    exactly,
    '~',
    '~/',
    '~/.ssh/id_rsa',
    '~root',
    '~root/.bashrc',
    '~+/x',
    '~-/x',
    '$HOME',
    '$HOME/.ssh/id_rsa',
    '${HOME}/.ssh',
    '$(pwd)/x',
    '`pwd`/x',
  ),
  ...list(exactly, '%USERPROFILE%\\x', '%HOME%/x', '%APPDATA%/x'),
  ...list(below, '$HOME/.ssh', '${HOME}/x', '${X}../outside', '$(cat x)', '`id`', '{a,../../outside}/x', '$x/../../data/x', '%PATH%/x'),
  // No answer.
  ['empty', exactly('')],
  ['a space', exactly(' ')],
  ['very long', ({ data }) => `${data}/${'a/'.repeat(3000)}`],
  ['a name of a megabyte', ({ data }) => `${data}/${'a'.repeat(1_000_000)}`],
  ['many segments', ({ data }) => `${data}/${'a/'.repeat(300)}x`],
  ['climbing back far', ({ data }) => `${data}/${'a/'.repeat(100)}${'../'.repeat(101)}outside`],
  ['a name longer than names are', ({ data }) => `${data}/${'n'.repeat(300)}/x`],
  ['a list', ({ data }) => [`${data}/report.txt`]],
  ['a list of a list', ({ data }) => [[`${data}/report.txt`]]],
  ['an object', ({ data }) => ({ path: `${data}/report.txt` })],
  ['an object that pretends', ({ data }) => ({ length: 1, toString: `${data}/report.txt` })],
  ['a number', exactly(5)],
  ['true', exactly(true)],
  ['null', exactly(null)],
  ['a placeholder', ({ data }) => `${data}/[redacted:jwt]/report.txt`],
  ['a placeholder in a name', ({ data }) => `${data}/a-[redacted:aws-access-key].txt`],
  ['a bare placeholder', ({ data }) => `${data}/[redacted]`],
  ...(IS_KEPT_OUT ? list(below, 'locked/key', 'locked/nope', 'locked/../locked/key') : []),
];

const NAMES = [
  ...[
    'a.txt',
    'README.md',
    'Makefile',
    '.gitignore',
    '.env.example',
    'index.html',
    'archive.tar.gz',
    'no-extension',
    'UPPER.TXT',
    'CamelCase.java',
  ],
  ...[
    'file (1).txt',
    'a b c.txt',
    "it's.txt",
    'a,b.csv',
    'a;b.txt',
    'a=b.txt',
    'a+b.txt',
    'a@2x.png',
    'x#y.txt',
    'a&b.txt',
    '100%.txt',
    '50% off.txt',
  ],
  ...[
    '[id].tsx',
    '[...slug].tsx',
    '(group)',
    '{x}.txt',
    'a!b.txt',
    'a~',
    '#backup#',
    'a.b.c.d',
    'v1.2.3',
    '2026-11-26',
    '1',
    '-',
    '--help',
    '_',
    '@scope',
  ],
  ...[
    'naïve.md',
    'Grüße.txt',
    '日本語.txt',
    'файл.txt',
    'ملف.txt',
    'a\u0301.txt',
    'smile😀.txt',
    'λ.hs',
    'İstanbul.txt',
    'straße.txt',
    '한국어.md',
  ],
  ...[
    'Foo$Bar.class',
    '$id.tsx',
    'users.$id.edit.tsx',
    '$types.ts',
    '..hidden',
    'a..b',
    'dots..',
    'Acme Inc.',
    'e.g.',
    "O'Brien",
    'a:b.txt',
    'q1*.csv',
    'what?.txt',
  ],
  ...[
    'node_modules',
    'package-lock.json',
    'Dockerfile',
    'docker-compose.yml',
    '.eslintrc.cjs',
    'tsconfig.json',
    'Cargo.lock',
    'go.sum',
    'pom.xml',
  ],
  ...[
    'x'.repeat(200),
    'con',
    'nul',
    'aux.txt',
    'PROGRA~1',
    'desktop.ini',
    'Thumbs.db',
    '.DS_Store',
    '__init__.py',
    '__proto__',
    'constructor',
    'toString',
  ],
];

const FOLDERS = ['', 'sub', 'sub/deep', 'src/components/ui', 'with space', 'Ümläut', '.hidden', 'in', 'in-chain/deep'];

/** All of these are inside. */
export const ORDINARY_PATHS: readonly Entry[] = [
  ['the folder itself', ({ data }) => data],
  ['the folder with a slash', ({ data }) => `${data}/`],
  ['a second name of a file', below('second-name.txt')],
  ...list(below, './report.txt', 'sub/../report.txt', 'sub/./deep/../deep/file.txt', 'sub//deep///file.txt', 'not/there/yet.txt', '.'),
  ...list(
    below,
    'in/deep/file.txt',
    'in-absolute/deep',
    'in-chain/deep/file.txt',
    'in-file',
    'in-and-back/deep',
    'in-dangling',
    'in/../report.txt',
  ),
  ...list(below, 'report%20final.txt', 'a%2520b.txt', '%e2%82%ac.txt', 'x%zz.txt', '%', 'sub/%41.txt'),
  ...list(
    exactly,
    '.',
    './',
    'report.txt',
    './report.txt',
    'sub/deep/file.txt',
    'sub/../report.txt',
    'new/file.txt',
    'in/deep',
    '.hidden/.env',
  ),
  ...FOLDERS.flatMap((folder) => NAMES.map((name): Entry => [`${folder}/${name}`, below(folder === '' ? name : `${folder}/${name}`)])),
  // A relative one may not look like a URL or an option of a shell.
  ...NAMES.filter((name) => !/^[a-z]+:|^\$[A-Z]/i.test(name)).map((name): Entry => [`relative ${name}`, exactly(name)]),
];
