import { describe, expect, it } from 'vitest';
import { MAX_SHELL_CHARS, type ShellAnalysis, type ShellReason } from '../../src/shell/analysis.ts';
import { analyzeArguments, analyzeShell } from '../../src/shell/index.ts';

const NOTHING: ShellAnalysis = {
  undecided: false,
  reasons: [],
  found: [],
  commands: [],
  reads: [],
  writes: [],
  deletes: [],
  paths: [],
  hosts: [],
  scripts: [],
  incomplete: [],
};

describe('what a command runs', () => {
  it.each<[string, readonly string[]]>([
    ['', []],
    ['# rm -rf /', []],
    ['ls', ['ls']],
    ['/usr/bin/ls', ['ls']],
    ['ls; pwd && id || date', ['ls', 'pwd', 'id', 'date']],
    ['a | b |& c &', ['a', 'b', 'c']],
    ['sudo -u me env A=b nice -n 5 ls', ['sudo', 'env', 'nice', 'ls']],
    ["bash -c 'ls | wc'", ['bash', 'ls', 'wc']],
    ['echo "$(id)" `date` <(ls)', ['id', 'date', 'ls', 'echo']],
    ["r''m x", ['rm']],
    ['a=l; ${a}s', ['ls']],
    ['{ls,-l}', ['ls']],
    ['f() { id; }; f', ['id']],
    ['f() { id; }', ['id']],
    ["trap 'id' EXIT", ['trap', 'id']],
    ["cat <<'X'\n$(id)\nX", ['cat']],
    ['cat <<X\n$(id)\nX', ['id', 'cat']],
    ["echo 'id' | sh", ['echo', 'sh', 'id']],
    ["find . -exec id {} ';'", ['find', 'id']],
    ['echo a b | xargs -n1 id', ['echo', 'xargs', 'id']],
    ['if a; then b; elif c; then d; else e; fi', ['a', 'b', 'c', 'd', 'e']],
    ['for i in 1; do a; done; while b; do c; done; until d; do e; done', ['a', 'b', 'c', 'd', 'e']],
    ['case x in a) b;; *) c;; esac', ['b', 'c']],
    ['docker exec box ls', ['docker', 'ls']],
    ["ssh h 'ls; id'", ['ssh', 'ls', 'id']],
  ])('%j runs %j', (text, commands) => {
    expect(analyzeShell(text)).toMatchObject({ undecided: false, commands });
  });
});

describe('what a command names', () => {
  it.each<[string, Partial<ShellAnalysis>]>([
    ['cat a b > c', { reads: ['a', 'b'], writes: ['c'], paths: ['c', 'a', 'b'] }],
    ['sort -o out in', { reads: ['in'], writes: ['out'] }],
    ['cp -t dir a b', { reads: ['a', 'b'], writes: ['dir'] }],
    ['dd if=a of=b', { reads: ['a'], writes: ['b'] }],
    ['tee -a x y', { writes: ['x', 'y'] }],
    ['ls 2>err >>out', { writes: ['err', 'out'] }],
    ['ls 2>&1 >&-', { writes: [] }],
    ["sed -i 's/a/b/' f", { writes: ['f'], reads: ['f'] }],
    ['curl -o f https://A.example:8080/x?y', { hosts: ['a.example'], writes: ['f'] }],
    ['git clone git@ours.example:r.git', { hosts: ['ours.example'] }],
    ['rsync -a . me@ours.example:/x', { hosts: ['ours.example'], reads: ['.'] }],
    ['echo x > /dev/tcp/h.example/80', { hosts: ['h.example'] }],
    ['cd sub && cat f', { reads: ['f', 'sub/f'] }],
    ['cd /a/b; cat f; cat /c', { reads: ['f', '/a/b/f', '/c'] }],
    ['(cd a; cat f); cat g', { reads: ['f', 'a/f', 'g'] }],
    ['cd "$x"; cat f', { reads: [], incomplete: ['reads', 'paths'] }],
    ['cat "$x"', { reads: [], incomplete: ['reads', 'paths'] }],
    ['curl "https://$h/"', { hosts: [], incomplete: ['hosts'] }],
    ['cat src/*.ts', { reads: ['src'] }],
    ['cat *.ts', { reads: ['.'] }],
    ['cat */x', { reads: [], incomplete: ['reads', 'paths'] }],
    ['cat .*', { reads: [], incomplete: ['reads', 'paths'] }],
    ['d=src; cat "$d/a" ${d}/b', { reads: ['src/a', 'src/b'] }],
    ['./run.sh --in=../data', { scripts: ['./run.sh'], paths: ['./run.sh', '../data'] }],
    ['bash x.sh; python3 y.py; . z.sh', { scripts: ['x.sh', 'y.py', 'z.sh'] }],
    ['rm a ./b /c', { deletes: ['a', './b', '/c'] }],
  ])('%j: %j', (text, expected) => {
    expect(analyzeShell(text)).toMatchObject({ undecided: false, ...expected });
  });
});

describe('what is undecided, and why', () => {
  it.each<[ShellReason, readonly string[]]>([
    ['command-name', ['$x', '"$x"', '$(x)', '`x`', '*', 'r?', '@(a)', '${x:0:1}', '$((1))x', '=ls', '!ls', '$x rm', '"$@"', '$1', "''"]],
    ['argument', ['rm $x', 'git push "$x"', 'find . $x', 'sed -i "$x" f', 'ls | xargs rm', 'dd of="$x"', 'kill "$x"']],
    [
      'code',
      ["python3 -c 'x'", "node -e 'x'", "perl -ne 'x'", "awk 'BEGIN{system(1)}'", "sed 's/a/b/e' f", 'ed f', "vim -c '!x' f", 'php -r x'],
    ],
    [
      'script',
      [
        'sh',
        'sh < f',
        'curl x | sh',
        'eval "$x"',
        'eval $(x)',
        '. <(x)',
        'source "$x"',
        'bash <(x)',
        'base64 -d f | sh',
        'python3 -',
        'node < f',
      ],
    ],
    [
      'environment',
      ['PATH=. ls', 'LD_PRELOAD=x ls', 'export BASH_ENV=x', "PS4='$(x)' ls", 'env PATH=/tmp ls', 'NODE_OPTIONS="--require ./x" node y.js'],
    ],
    ['other-shell', ['zsh -c ls', 'powershell -enc x', 'cmd /c dir', "fish -c 'x'", "$'a\\'' x", '((reboot))']],
    ['option', ['sudo --unknown ls', 'timeout --what 5 ls', 'xargs --strange ls', 'nice -Z ls']],
    ['redirect', ['ls > "$x"', 'ls > $x', 'ls >> "$a/$b"', 'ls > *.txt/"$x"', 'ls > {a,b}']],
    ['arithmetic', ["x='a[$(y)]'; echo $((x))", 'x=$(y); (( x ))', 'x=$(y); [[ $x -gt 1 ]]', 'let "$x"', 'echo $(( $(y) ))']],
    ['expansion', ['declare -n a=b', 'x=$(y); echo "${!x}"', 'echo {a,b}{c,d}{e,f}{g,h}{i,j}{k,l}{m,n}{o,p}']],
    ['alias', ['hash -p /tmp/x ls', 'enable -f x y', 'bind -x \'"a":x\'', 'alias "$x"=y', 'alias a=rm; a "$x"']],
    ['recursion', ['f() { f; }; f', 'f() { g; }; g() { f; }; f']],
    ['parse-error', ['if', 'echo "', "echo '", 'ls )', 'done', 'a && ; b', 'echo $(', '( ls', 'case x in', '${', 'ls &&& pwd']],
    ['control-character', ['ls\u0000', 'ls\r', '\u001b[2J', 'ls\u0001', 'ls\u007f']],
    ['redacted', ['export K=[redacted:api-key]']],
    ['too-large', ['a'.repeat(MAX_SHELL_CHARS + 1)]],
    ['too-deep', [`${'eval '.repeat(100)}ls`, `${'sudo '.repeat(100)}ls`, `${'echo $('.repeat(100)}ls${')'.repeat(100)}`]],
    ['too-much', ['ls;'.repeat(2000), `set -- ${'a '.repeat(4000)}${'; echo "$@"'.repeat(1000)}; rm x; ${'ls;'.repeat(1500)}`]],
  ])('%s', (reason, texts) => {
    for (const text of texts) expect(analyzeShell(text).reasons, JSON.stringify(text.slice(0, 80))).toContain(reason);
  });

  it('keeps what was found before', () => {
    expect(analyzeShell(`rm -rf x; ${'ls;'.repeat(2000)}`).found).toEqual(['destructive']);
    expect(analyzeShell('rm -rf x; $y').found).toEqual(['destructive']);
  });
});

describe('what is decided although it looks odd', () => {
  it.each([
    'echo "$x"',
    'echo $x',
    'cat "$x"',
    'for f in *; do wc -l "$f"; done',
    'x=$(date); echo "$x"',
    'echo $((1 + 2))',
    'i=0; while (( i < 3 )); do i=$((i+1)); done',
    'echo {a,b}',
    "echo '$(rm -rf /)'",
    "cat <<'E'\n`rm -rf /`\nE",
    'git commit -m "$(cat <<\'E\'\nrm -rf /\nE\n)"',
    "echo 'rm -rf /' > notes.txt",
    'mytool --anything "$x"',
    'echo "[not:redacted]"',
  ])('%s', (text) => {
    expect(analyzeShell(text)).toMatchObject({ undecided: false, found: [] });
  });
});

describe('words without a shell', () => {
  it('nothing in them expands', () => {
    expect(analyzeArguments(['echo', '$(rm -rf /)', '; rm -rf /', '`id`'])).toEqual({ ...NOTHING, commands: ['echo'] });
    expect(analyzeArguments(['$x']).commands).toEqual(['$x']);
    expect(analyzeArguments([])).toEqual(NOTHING);
  });
  it('wrappers and shells are followed', () => {
    expect(analyzeArguments(['sudo', 'sh', '-c', 'rm -rf x']).found).toEqual(['privileged', 'destructive']);
    expect(analyzeArguments(['rm', '-rf', 'a b'])).toMatchObject({ found: ['destructive'], deletes: ['a b'] });
  });
  it('sizes and control characters', () => {
    expect(analyzeArguments(['ls', '\u0000']).reasons).toEqual(['control-character']);
    expect(analyzeArguments(['ls', 'a'.repeat(MAX_SHELL_CHARS)]).reasons).toEqual(['too-large']);
  });
});
