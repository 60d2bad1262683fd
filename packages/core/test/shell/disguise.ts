/** Makes disguises of a command: ways to spell a word, to wrap a command, to hide a script, put together at random. */

/** Numbers from a seed, the same on every machine. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

type Choose = (below: number) => number;

const octal = (text: string): string => [...text].map((c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`).join('');
const hex = (text: string): string => [...text].map((c) => `\\x${c.charCodeAt(0).toString(16)}`).join('');
const single = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** One word, spelt differently. */
const SPELLINGS: readonly ((word: string, choose: Choose) => string)[] = [
  (word) => word,
  single,
  (word) => `"${word}"`,
  (word) => `$'${octal(word)}'`,
  (word) => `$'${hex(word)}'`,
  (word) => `$"${word}"`,
  (word) => [...word].map((c) => `\\${c}`).join(''),
  (word, choose) => split(word, choose, "''"),
  (word, choose) => split(word, choose, '""'),
  (word, choose) => split(word, choose, '\\\n'),
  (word) => [...word].map((c, i) => (i % 2 === 0 ? `"${c}"` : `'${c}'`)).join(''),
];

function split(word: string, choose: Choose, between: string): string {
  const at = choose(word.length + 1);
  return word.slice(0, at) + between + word.slice(at);
}

/** The words of a command as a line. */
const LINES: readonly ((words: readonly string[], choose: Choose) => string)[] = [
  (words, choose) => words.map((word) => pick(SPELLINGS, choose)(word, choose)).join(' '),
  (words, choose) => words.map((word) => pick(SPELLINGS, choose)(word, choose)).join('\t'),
  (words, choose) => words.map((word) => pick(SPELLINGS, choose)(word, choose)).join(' \\\n '),
  (words) => words.join('${IFS}'),
  (words) => words.join('$IFS'),
  (words) => (words.length > 1 ? `{${words.join(',')}}` : words.join(' ')),
  (words) => `c=${single(words.join(' '))}; $c`,
  (words) => `c=(${words.join(' ')}); "\${c[@]}"`,
  (words) => `set -- ${words.join(' ')}; "$@"`,
  ([name = '', ...rest]) => `n=${name}; $n ${rest.join(' ')}`,
  ([name = '', ...rest]) => `n=${name.slice(0, 1)}; \${n}${name.slice(1)} ${rest.join(' ')}`,
  ([name = '', ...rest]) => `n=${name.slice(0, 1)}; n+=${name.slice(1)}; "$n" ${rest.join(' ')}`,
  ([name = '', ...rest]) => `\${unset_:-${name}} ${rest.join(' ')}`,
  ([name = '', ...rest]) => `$(echo ${name}) ${rest.join(' ')}`,
  ([name = '', ...rest]) => `for n in ${name}; do $n ${rest.join(' ')}; done`,
  ([name = '', first = '', ...rest]) => `{${name},${first}} ${rest.join(' ')}`,
  ([name = '', ...rest]) => `f() { "$@" ${rest.join(' ')}; }; f ${name}`,
  ([name = '', ...rest]) => `alias q=${name}; q ${rest.join(' ')}`,
  ([name = '', ...rest]) => `/usr/bin/${name} ${rest.join(' ')}`,
  ([name = '', ...rest]) => `> /tmp/o ${name} 2>&1 ${rest.join(' ')}`,
  ([name = '', ...rest]) => `A=b ${name} ${rest.join(' ')}`,
];

/** A line in front of which something stands; only for lines that are one simple command. */
const PREFIXES: readonly string[] = [
  'sudo',
  'sudo -u root --',
  'env -i A=b',
  'nohup',
  'nice -n 5',
  'timeout -k 1 5',
  'time -p',
  'stdbuf -o0',
  'setsid',
  'command',
  'exec',
  'busybox',
  'xargs -0',
  'doas',
  'ionice -c 3',
  'strace -f',
  'flock /tmp/l',
  'eval',
];

/** A script inside another. */
const NESTS: readonly ((script: string) => string)[] = [
  (script) => `bash -c ${single(script)}`,
  (script) => `sh -ec ${single(script)}`,
  (script) => `eval ${single(script)}`,
  (script) => `su -c ${single(script)}`,
  (script) => `ssh host ${single(script)}`,
  (script) => `bash <<'XEOFX'\n${script}\nXEOFX`,
  (script) => `bash <<< ${single(script)}`,
  (script) => `printf '%s\\n' ${single(script)} | sh`,
  (script) => `cat <<'XEOFX' | bash -s\n${script}\nXEOFX`,
  (script) => `echo $(\n${script}\n)`,
  (script) => `: "$(\n${script}\n)"`,
  (script) => `cat <(\n${script}\n)`,
  (script) => `true && {\n${script}\n}`,
  (script) => `(\n${script}\n)`,
  (script) => `if true; then\n${script}\nfi`,
  (script) => `while true; do\n${script}\nbreak; done`,
  (script) => `case x in x)\n${script}\n;; esac`,
  (script) => `f() {\n${script}\n}; f`,
  (script) => `trap ${single(script)} EXIT`,
  (script) => `ls; {\n${script}\n} &`,
  (script) => `ls | {\n${script}\n}`,
  (script) => `git submodule foreach ${single(script)}`,
  (script) => `find . -exec sh -c ${single(script)} ';'`,
  (script) => `watch -n 1 ${single(script)}`,
  (script) => `x=$(\n${script}\n)`,
];

export const BASES: readonly (readonly string[])[] = [
  ['rm', '-rf', '/'],
  ['rm', '-r', 'src'],
  ['rm', '--force', 'a.db'],
  ['git', 'push', '--force'],
  ['git', 'reset', '--hard'],
  ['git', 'clean', '-fdx'],
  ['find', '.', '-delete'],
  ['shred', '-u', 'a.db'],
  ['dd', 'if=a', 'of=/dev/sda'],
  ['mkfs.ext4', '/dev/sdb'],
  ['shutdown', 'now'],
  ['truncate', '-s', '0', 'a.db'],
  ['kill', '-9', '-1'],
  ['crontab', '-r'],
  ['terraform', 'destroy'],
  ['kubectl', 'delete', 'ns', 'x'],
  ['redis-cli', 'flushall'],
  ['docker', 'volume', 'rm', 'x'],
  ['dropdb', 'x'],
  ['mv', '/etc', 'x'],
];

function pick<T>(items: readonly T[], choose: Choose): T {
  const item = items[choose(items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
}

/** A disguised destructive command. */
export function disguise(choose: Choose): string {
  let script = pick(LINES, choose)(pick(BASES, choose), choose);
  if (!script.includes(';') && !script.includes('\n') && !/^[>A{]/.test(script) && choose(2) === 0)
    script = `${pick(PREFIXES, choose)} ${script}`;
  for (let depth = choose(4); depth > 0; depth--) script = pick(NESTS, choose)(script);
  return script;
}
