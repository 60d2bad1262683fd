import { chmodSync, mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { compileCondition } from '../../src/policy/conditions.ts';
import { createLookups, replayedLookups } from '../../src/policy/lookups.ts';
import type { Policy, PolicyInput } from '../../src/policy/policy.ts';
import { rulePolicy } from '../../src/policy/rules.ts';
import { IS_KEPT_OUT, ORDINARY_PATHS, PATH_ATTACKS, type PathTree, pathTree } from './corpus/paths.ts';
import { holds } from './functions.ts';
import { policyInput } from './input.ts';

let tree: PathTree;
beforeAll(() => {
  tree = pathTree();
});
afterAll(() => {
  chmodSync(join(tree.data, 'locked'), 0o700);
  rmSync(tree.top, { recursive: true });
});

const within = (path: unknown, changes: Partial<PolicyInput> = {}): boolean | string =>
  holds('path.within(args.p, args.root)', { p: path, root: tree.data }, { root: tree.data, ...changes });

function effect(policy: Policy, path: unknown): string {
  const verdict = policy.evaluate(policyInput({ args: { p: path } as Json, root: tree.data }));
  if (verdict instanceof Promise) throw new Error('rules are synchronous');
  return verdict.effect;
}

describe('the corpus of paths', () => {
  it('no attack is inside for an allow rule, and none escapes a deny rule', () => {
    const when = `path.within(args.p, '${tree.data}')`;
    const allow = rulePolicy({ id: 'p', rules: [{ id: 'inside', tools: ['*'], when, effect: 'allow' }] });
    const deny = rulePolicy({ id: 'p', rules: [{ id: 'outside', tools: ['*'], unless: when, effect: 'deny' }] });
    const passed = PATH_ATTACKS.filter(([, path]) => effect(allow, path(tree)) === 'allow' || effect(deny, path(tree)) !== 'deny');
    process.stdout.write(`paths: ${PATH_ATTACKS.length - passed.length} of ${PATH_ATTACKS.length} attacks refused\n`);
    expect(passed.map(([name]) => name)).toEqual([]);
    expect(PATH_ATTACKS.length).toBeGreaterThan(200);
  });

  it('every ordinary path is inside', () => {
    const refused = ORDINARY_PATHS.map(([name, path]) => [name, within(path(tree))] as const).filter(([, answer]) => answer !== true);
    process.stdout.write(`paths: ${refused.length} of ${ORDINARY_PATHS.length} ordinary paths refused\n`);
    expect(refused).toEqual([]);
    expect(ORDINARY_PATHS.length).toBeGreaterThanOrEqual(PATH_ATTACKS.length);
  });
});

describe('path.within', () => {
  it('has no answer where the readings do not agree, so that a deny rule holds as well', () => {
    const disagree = 'w: path: a path is inside by one reading and outside by another, such as a link out of the folder';
    for (const path of ['out/secret.txt', 'up/outside', 'sub/climb', '..%2foutside', '\uff4c\uff49\uff4e\uff4b/x'])
      expect(within(path)).toBe(disagree);
    const secret = `path.within(args.p, '${tree.top}/outside')`;
    const deny = rulePolicy({ id: 'p', default: 'allow', rules: [{ id: 'r', tools: ['*'], when: secret, effect: 'deny' }] });
    for (const path of ['out/secret.txt', 'out-chain/x', 'out-file', '../outside/x', 'dangling']) expect(effect(deny, path)).toBe('deny');
    for (const path of ['report.txt', 'in/deep', '../data-evil/x', '/etc/hosts']) expect(effect(deny, path)).toBe('abstain');
  });

  it('is plainly false for what is outside by every reading', () => {
    for (const path of ['/etc/hosts', '../outside/secret.txt', `${tree.data}-evil/x`, '..', '/']) expect(within(path)).toBe(false);
  });

  it('takes a root through a link, in both spellings', () => {
    const linked = join(tree.top, 'linked-root');
    symlinkSync('data', linked);
    const ask = (p: string, root: string): boolean | string => holds('path.within(args.p, args.root)', { p, root });
    expect(ask(`${linked}/report.txt`, linked)).toBe(true);
    expect(ask(`${tree.data}/report.txt`, linked)).toBe(true);
    expect(ask(`${linked}/out/secret.txt`, linked)).toContain('by another');
    expect(ask(`${linked}/../outside`, linked)).toBe(false);
    unlinkSync(linked);
  });

  it('a relative path needs a declared root, and so does a relative folder', () => {
    const undeclared = 'w: path: a path is relative, and the configuration declares no root for this tool';
    const ask = (p: string, root: string): boolean | string => holds('path.within(args.p, args.root)', { p, root });
    expect(ask('report.txt', tree.data)).toBe(undeclared);
    expect(ask(`${tree.data}/report.txt`, '.')).toBe(undeclared);
    expect(holds('path.within(args.p, ".")', { p: 'sub/x' }, { root: tree.data })).toBe(true);
    expect(holds('path.within(args.p, "sub")', { p: 'sub/x' }, { root: tree.data })).toBe(true);
    expect(holds('path.within(args.p, "sub")', { p: 'report.txt' }, { root: tree.data })).toBe(false);
  });

  it('sees a link that was put there since', () => {
    const place = join(tree.data, 'later');
    mkdirSync(place);
    expect(within('later/x')).toBe(true);
    rmSync(place, { recursive: true });
    symlinkSync('../outside', place);
    expect(within('later/x')).toContain('by another');
    unlinkSync(place);
    writeFileSync(place, '');
    expect(within('later')).toBe(true);
    unlinkSync(place);
  });

  it.skipIf(!IS_KEPT_OUT)('has no answer where it may not look', () => {
    expect(within('locked/key')).toBe('w: path: a path leads somewhere that cannot be seen from here');
  });

  it('never quotes the path', () => {
    for (const [, path] of PATH_ATTACKS) {
      const answer = within(path(tree));
      if (typeof answer === 'string')
        expect(answer).toMatch(/^w: (path: a path [a-z]|type error at "path\.within\(args\.p, args\.root\)")/);
    }
  });

  it('records what it looked up, and answers the same from the record when the disk is gone', () => {
    const condition = compileCondition('path.within(args.p, args.root)', 'w');
    const other = pathTree();
    const ask = (path: string, lookups: PolicyInput['lookups'], root?: string): boolean | string => {
      try {
        return condition(
          policyInput({
            tool: { server: 'files', name: 'read' },
            args: { p: path, root: other.data },
            ...(lookups !== undefined && { lookups }),
            ...(root !== undefined && { root }),
          }),
        );
      } catch (error) {
        return (error as Error).message;
      }
    };
    const paths = [
      'report.txt',
      'out/secret.txt',
      'in/deep',
      'loop-a',
      '../outside',
      `${other.data}/sub/../x`,
      'naïve/x',
      '/proc/self/root',
    ];
    const first = paths.map((path) => {
      const lookups = createLookups();
      return { path, answer: ask(path, lookups, other.data), recorded: lookups.recorded() ?? {} };
    });
    chmodSync(join(other.data, 'locked'), 0o700);
    rmSync(other.top, { recursive: true });
    for (const { path, answer, recorded } of first) expect([path, ask(path, replayedLookups(recorded))]).toEqual([path, answer]);
    expect(first[0]?.recorded).toEqual({
      'root:files': other.data,
      [`path:${other.data}`]: other.data,
      [`path:${other.data}/report.txt`]: `${other.data}/report.txt`,
    });
    expect(first[3]?.recorded).toMatchObject({ [`path:${other.data}/loop-a`]: { error: 'ELOOP' } });
    expect(ask('other.txt', replayedLookups(first[0]?.recorded ?? {}))).toContain('was not recorded');
  });

  it('costs steps by its length, so that a long list of paths ends', () => {
    const paths = Array.from({ length: 2000 }, (_, index) => `${'a/'.repeat(200)}${index}`);
    expect(holds('args.l.all(p, path.within(p, "/data"))', { l: paths }, { root: '/data' })).toMatch(/steps|look up more/);
    expect(holds('args.l.all(p, path.within(p, "/nope"))', { l: paths.slice(0, 20) }, { root: '/nope' })).toBe(true);
  });
});

describe('path.matches', () => {
  it.each<[boolean, string, string]>([
    [true, '/srv/key.pem', '*.pem'],
    [true, 'key.pem', '*.pem'],
    [true, '/srv/a/b/key.pem', '**/*.pem'],
    [true, '/key.pem', '**/*.pem'],
    [true, '/home/u/.ssh/id_rsa', '**/.ssh/**'],
    [true, '/home/u/.ssh', '**/.ssh/**'],
    [true, '/home/u/.ssh/deep/x', '**/.ssh/**'],
    [true, '/srv/public/x', '/srv/public/**'],
    [true, '/srv/public', '/srv/public/**'],
    [true, '/srv/a1.txt', '/srv/a?.txt'],
    [true, '/srv/a/x/b/y/c', '/srv/**/b/**/c'],
    [true, '/srv/aXbXXc', '/srv/a*b*c'],
    [true, '/etc/../key.pem', '*.pem'],
    [false, '/srv/key.pem.txt', '*.pem'],
    [false, '/srv/public-not/x', '/srv/public/**'],
    [false, '/home/u/ssh/id_rsa', '**/.ssh/**'],
    [false, '/srv/a/b.txt', '/srv/*.txt'],
    [false, '/srv/a12.txt', '/srv/a?.txt'],
    [false, '/srv/key.pem/x', '*.pem'],
    [false, '/', '*'],
  ])('%s: %s and %s', (answer, path, pattern) => {
    expect(holds(`path.matches(args.p, '${pattern}')`, { p: path }, { root: '/srv' })).toBe(answer);
    expect(holds(`path.matches(args.p, ['*.nothing', '${pattern}'])`, { p: path }, { root: '/srv' })).toBe(answer);
  });

  it.each([['/srv/KEY.PEM'], ['/srv/key.pe%6d'], ['/srv/key.ｐｅｍ']])(
    'has no answer for %s, which only some would open as key.pem',
    (path) => {
      expect(holds('path.matches(args.p, "*.pem")', { p: path })).toContain('matches by one reading and not by another');
    },
  );

  it('follows links', () => {
    symlinkSync('../outside/secret.txt', join(tree.data, 'notes.md'));
    expect(holds('path.matches(args.p, "*.md")', { p: `${tree.data}/notes.md` })).toContain('matches by one reading');
    expect(holds('path.matches(args.p, "**/outside/**")', { p: `${tree.data}/notes.md` })).toContain('matches by one reading');
    unlinkSync(join(tree.data, 'notes.md'));
  });

  it('takes time by the product of lengths at most', () => {
    const path = `/${'a/'.repeat(200)}${'a'.repeat(200)}`;
    expect(holds('path.matches(args.p, "/**/a*a*a*a*a*a*a*a*a*a*b/**/c*c*c*c*d")', { p: path })).toBe(false);
  });

  it('every attack that is no path has no answer here either', () => {
    for (const [name, path] of PATH_ATTACKS.filter(([, make]) => typeof make(tree) !== 'string'))
      expect([name, typeof holds('path.matches(args.p, "*.pem")', { p: path(tree) }, { root: tree.data })]).toEqual([name, 'string']);
  });
});

describe('path.name and path.extension', () => {
  it.each([
    ['path.name(args.p) == "report.pdf"', '/data/report.pdf'],
    ['path.name(args.p) == "report.pdf"', 'report.pdf'],
    ['path.name(args.p) == "data"', '/data/'],
    ['path.name(args.p) == "data"', '/data/x/..'],
    ['path.name(args.p) == ""', '/'],
    ['path.name(args.p) == "naïve"', '/naïve'],
    ['path.extension(args.p) == ".pdf"', '/data/Report.PDF'],
    ['path.extension(args.p) == ".gz"', 'a.tar.gz'],
    ['path.extension(args.p) == ""', '/data/.bashrc'],
    ['path.extension(args.p) == ""', '/da.ta/file'],
  ])('%s for %s', (source, p) => expect(holds(source, { p })).toBe(true));

  it.each([['/a\0b'], [['/a']], [5], [null], [{}], [''], ['a%2eexe'], ['~/x'], ['a\\b.exe'], ['a.exe ']])('is no answer for %j', (p) => {
    expect(holds('path.name(args.p) != "x"', { p })).toMatch(/^w: /);
    expect(holds('path.extension(args.p) != ".x"', { p })).toMatch(/^w: /);
  });
});

describe('a rule over paths is checked when it is loaded', () => {
  it.each([
    ['pth.within(args.p, "/x")', /did you mean "path"/],
    ['path.within(args.p)', /within/],
    ['path.within(args.p, 5)', /within/],
    ['path.within(args.p, "~/work")', /must be written out, such as '\/srv\/data'/],
    ['path.within(args.p, "")', /must be written out/],
    ['path.within(args.p, "$HOME/x")', /must be written out/],
    ['path.matches(args.p, "a/*.txt")', /must begin with \/ or \*\*\//],
    ['path.matches(args.p, ["*.pem", "*.{a,b}"])', /write several patterns/],
    ['path.matches(args.p, "a**/b")', /must begin|whole segments/],
    ['path.matches(args.p, "/a**/b")', /whole segments/],
    ['path.matches(args.p, "/a//b")', /empty segment/],
    ['path.matches(args.p, "/a/../b")', /empty segment, \. or \.\./],
    ['path.matches(args.p, "")', /1 to 1024/],
  ])('%s', (source, message) => expect(() => compileCondition(source, 'w')).toThrow(message));

  it('patterns from arguments are checked when they are used', () => {
    expect(holds('path.matches(args.p, args.q)', { p: '/x', q: ['a/b'] })).toBe('w: path.matches() needs patterns such as "**/*.pem"');
    expect(holds('path.matches(args.p, args.q)', { p: '/x', q: [5] })).toMatch(/^w: /);
    expect(holds('path.matches(args.p, args.q)', { p: '/x', q: Array(300).fill('*') })).toContain('at most 256');
  });
});
