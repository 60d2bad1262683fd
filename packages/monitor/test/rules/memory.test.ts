/** Rules that remember: counts, chains, flags. And floods that would make them forget. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { MAX_TAINTED } from '../../src/rules/families/chain.ts';
import { EventWindow, NameWindow, NeverForgets, RecentNames } from '../../src/rules/window.ts';
import { LEVELS } from '../../src/verdict.ts';
import { activity, connect, exec, HOME, read, remove, type Session, scopeOf, session, told, WORK, write } from './activities.ts';

/** What the last of several comes to. */
function last(given: Session, actions: readonly Action[]): string {
  return actions.map((action) => told(given.judge(action))).at(-1) ?? '';
}

/** The worst of several. */
function worst(given: Session, actions: readonly Action[]): string {
  const verdicts = actions.map((action) => given.judge(action));
  return told(verdicts.toSorted((a, b) => LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level))[0] ?? { ...verdicts[0]!, level: 'SAFE' });
}

const many = (count: number, make: (index: number) => Action): readonly Action[] =>
  Array.from({ length: count }, (_, index) => make(index));
const spawn = (pid: number): Action => ({ kind: 'spawn', child: { pid, start: 1 } });

describe('windows', () => {
  it('speak at the limit, within the time and not after', () => {
    const window = new EventWindow(3, 1000);
    expect([window.add(0, 1), window.add(500, 2), window.add(999, 3), window.add(1500, 4), window.add(9000, 5)]).toEqual([
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(window.evidence()).toEqual([3, 4, 5]);
    window.clear();
    expect(window.add(9000, 6)).toBe(false);
    expect(new EventWindow(1, 1000).add(0, 1)).toBe(true);
  });

  it('count a name once', () => {
    const window = new NameWindow(3, 1000);
    for (let index = 0; index < 10; index++) expect(window.add('a', index, index)).toBe(false);
    expect(window.add('b', 10, 10)).toBe(false);
    expect(window.add('c', 11, 11)).toBe(true);
    expect(window.evidence()).toEqual([9, 10, 11]);
    expect(window.add('d', 2000, 12)).toBe(false);
  });

  it('stand a clock that is set back', () => {
    const window = new EventWindow(2, 1000);
    window.add(1_000_000, 1);
    expect(window.add(0, 2)).toBe(false);
    expect(window.add(10, 3)).toBe(true);
  });

  it('what never forgets knows every name after a flood', () => {
    const names = new NeverForgets();
    names.add('/srv/evil');
    for (let index = 0; index < 200_000; index++) names.add(`/tmp/flood/${index}`);
    expect(names.has('/srv/evil')).toBe(true);
    for (let index = 0; index < 200_000; index += 97) expect(names.has(`/tmp/flood/${index}`)).toBe(true);
    let wrong = 0;
    for (let index = 0; index < 1000; index++) if (names.has(`/other/${index}`)) wrong++;
    expect(wrong).toBeLessThan(100);
  });

  it('recent names are so many', () => {
    const names = new RecentNames(2);
    for (const name of ['a', 'b', 'a', 'c']) names.add(name);
    expect([names.has('a'), names.has('b'), names.has('c')]).toEqual([true, false, true]);
  });
});

describe('many deletions', () => {
  it('20 files that were there before, within 10 seconds', () => {
    expect(
      last(
        session(),
        many(19, (n) => remove(`${WORK}/src/${n}.ts`, true)),
      ),
    ).toBe('SAFE');
    expect(
      last(
        session(),
        many(20, (n) => remove(`${WORK}/src/${n}.ts`, true)),
      ),
    ).toBe('HALT mass-deletion');
    expect(
      last(
        session(),
        many(20, (n) => remove(`${WORK}/src/${n}.ts`)),
      ),
    ).toBe('HALT mass-deletion');
  });

  it('20 over a longer time are none, 200 are, and so are files of many folders', () => {
    const slow = session();
    const verdicts = many(199, (n) => remove(`${WORK}/src/${n}.ts`, true)).map((action) => {
      slow.wait(1000);
      return told(slow.judge(action));
    });
    expect(new Set(verdicts)).toEqual(new Set(['SAFE']));
    slow.wait(1000);
    expect(told(slow.judge(remove(`${WORK}/src/last.ts`, true)))).toBe('HALT mass-deletion');
    expect(
      last(
        session(),
        many(10, (n) => remove(`${WORK}/${n}/index.ts`, true)),
      ),
    ).toBe('HALT mass-deletion');
  });

  it.each<[string, (n: number) => Action]>([
    ['the same file', () => remove(`${WORK}/src/a.ts`, true)],
    ['new files', (n) => remove(`${WORK}/src/${n}.ts`, false)],
    ['temporary files', (n) => remove(`/tmp/${n}/x`, true)],
    ['packages', (n) => remove(`${WORK}/node_modules/${n}/x.js`, true)],
    ['objects of git', (n) => remove(`${WORK}/.git/objects/${n}/x`, true)],
    ['build output', (n) => remove(`${WORK}/dist/${n}/x.js`, true)],
    ['files moved within the workspace', (n) => ({ kind: 'rename', path: `${WORK}/a/${n}.ts`, to: `${WORK}/b/${n}.ts`, existed: true })],
  ])('%s do not count', (_name, make) => {
    expect(last(session(), many(300, make))).toBe('SAFE');
  });

  it.each<[string, (n: number) => Action]>([
    ['a folder called like a temporary one', (n) => remove(`${WORK}/tmp/${n}`, true)],
    ['files moved out', (n) => ({ kind: 'rename', path: `${WORK}/a/${n}.ts`, to: `/tmp/${n}`, existed: true })],
    [
      'files that get something behind their name',
      (n) => ({ kind: 'rename', path: `${WORK}/a/${n}.ts`, to: `${WORK}/a/${n}.ts.locked`, existed: true }),
    ],
    ['files behind a link', (n) => ({ kind: 'delete', path: `/tmp/link/${n}`, resolved: `${WORK}/src/${n}`, existed: true })],
    ['files called new that were written before', (n) => remove(`${WORK}/build.d/${n}`, true)],
  ])('%s do', (_name, make) => {
    expect(last(session(), many(20, make))).toBe('HALT mass-deletion');
  });

  it('what the session wrote is its own, but a file written over is not', () => {
    const own = session();
    for (let n = 0; n < 30; n++) own.judge(write(`${WORK}/${n}.txt`, false));
    expect(
      last(
        own,
        many(30, (n) => remove(`${WORK}/${n}.txt`)),
      ),
    ).toBe('SAFE');
    const over = session();
    for (let n = 0; n < 30; n++) over.judge(write(`${WORK}/${n}.txt`, true));
    expect(
      last(
        over,
        many(30, (n) => remove(`${WORK}/${n}.txt`)),
      ),
    ).toBe('HALT mass-deletion');
  });

  it('what git takes from the workspace is in its history; what it cleans is not', () => {
    const git = (argv: readonly string[]): string => {
      const { judge } = session();
      return many(30, (n) => remove(`${WORK}/src/${n}.ts`, true))
        .map((action) => told(judge(action, { actor: { exe: '/usr/bin/git', argv } })))
        .at(-1) as string;
    };
    expect(git(['git', 'checkout', 'other'])).toBe('SAFE');
    expect(git(['git', 'clean', '-fdx'])).toBe('HALT mass-deletion');
    const { judge } = session();
    const disguised = many(20, (n) => remove(`${WORK}/src/${n}.ts`, true)).map((action) =>
      told(judge(action, { actor: { exe: `${WORK}/git` } })),
    );
    expect(disguised.at(-1)).toBe('HALT mass-deletion');
  });

  it('a flood of other deletions hides none that counts', () => {
    const given = session();
    const verdicts: string[] = [];
    for (let n = 0; n < 20; n++) {
      verdicts.push(told(given.judge(remove(`${WORK}/src/${n}.ts`, true))));
      for (let flood = 0; flood < 2000; flood++) given.judge(remove(`/tmp/${n}-${flood}`, true));
    }
    expect(verdicts.at(-1)).toBe('HALT mass-deletion');
  });

  it('of whatever files, three in 10 seconds under a predecessor scope', () => {
    const given = session(scopeOf('filesystem: { allowed_paths: ["/tmp/safe/**"] }'));
    expect(
      last(
        given,
        many(2, (n) => remove(`/tmp/safe/${n}`, false)),
      ),
    ).toBe('SAFE');
    given.wait(10_000);
    expect(told(given.judge(remove('/tmp/safe/3')))).toBe('HALT mass-deletion');
    given.wait(10_001);
    expect(told(given.judge(remove('/tmp/safe/4')))).toBe('SAFE');
  });

  it('one deletion that two sensors see counts once', () => {
    const { engine } = session(scopeOf('filesystem: { allowed_paths: ["/tmp/safe/**"] }'));
    const at = 1_700_000_000_000;
    const verdicts = [1, 2, 3, 4].map((seq) =>
      told(
        engine.judge({
          ...activity(remove(`/tmp/safe/${Math.ceil(seq / 2)}`), { seq, at: at + seq }),
          sensor: seq % 2 === 0 ? 'inotify' : 'probe',
        }),
      ),
    );
    expect(verdicts).toEqual(['SAFE', 'SAFE', 'SAFE', 'SAFE']);
  });
});

describe('many connections', () => {
  const outside = (n: number): Action => connect(undefined, `203.0.113.${n % 250}`);

  it('50 in 60 seconds', () => {
    const given = session();
    expect(last(given, many(49, outside))).toBe('SAFE');
    expect(told(given.judge(outside(1)))).toBe('HALT many-connections');
    given.wait(60_001);
    expect(told(given.judge(outside(1)))).toBe('SAFE');
  });

  it('not to this host, nor to listed domains', () => {
    expect(
      last(
        session(),
        many(200, () => connect('localhost', '127.0.0.1')),
      ),
    ).toBe('SAFE');
    const listed = session(scopeOf('scope: { network: { allowed_domains: [example.com] } }'));
    expect(
      last(
        listed,
        many(200, () => connect('cdn.example.com', '203.0.113.1')),
      ),
    ).toBe('SAFE');
  });

  it('once for each, however many sensors see them', () => {
    const { engine } = session();
    let worstLevel = 'SAFE';
    for (let seq = 1; seq <= 98; seq++) {
      const first = seq % 2 === 1;
      const action = first ? connect('a.example', undefined) : connect(undefined, '203.0.113.1');
      const { level } = engine.judge({ ...activity(action, { seq, at: 1_700_000_000_000 + seq }), sensor: first ? 'probe' : 'sockets' });
      if (level !== 'SAFE') worstLevel = level;
    }
    expect(worstLevel).toBe('SAFE');
  });
});

describe('a secret, then a connection', () => {
  const secret = read(`${HOME}/.aws/credentials`);
  const out = connect('collector.example', '203.0.113.9');

  it('by the same process, at any time', () => {
    const given = session();
    given.judge(secret);
    given.wait(3_600_000);
    const verdict = given.judge(out);
    expect(told(verdict)).toBe('HALT secret-egress');
    expect(verdict.evidence).toEqual([1, 2]);
  });

  it('by another process of the tree, for a while', () => {
    const given = session();
    given.judge(secret, { actor: { pid: 200, parent: 150 } });
    expect(told(given.judge(out, { actor: { pid: 300, parent: 1 } }))).toBe('HALT secret-egress');
    given.wait(60_001);
    expect(told(given.judge(out, { actor: { pid: 300, parent: 1 } }))).toBe('SAFE');
    expect(told(given.judge(out, { actor: { pid: 150, parent: 1 } }))).toBe('HALT secret-egress');
  });

  it('by what that process started, and what that started', () => {
    const given = session();
    given.judge(secret, { actor: { pid: 200 } });
    given.judge(spawn(201), { actor: { pid: 200 } });
    given.judge(spawn(202), { actor: { pid: 201, parent: 200 } });
    given.wait(3_600_000);
    expect(told(given.judge(out, { actor: { pid: 202, parent: 201 } }))).toBe('HALT secret-egress');
  });

  it('by its parent after it ended: `cat` wrote it to a pipe', () => {
    const given = session();
    given.judge(secret, { actor: { pid: 200, parent: 100 } });
    given.judge({ kind: 'exit', code: 0 }, { actor: { pid: 200, parent: 100 } });
    given.wait(3_600_000);
    expect(told(given.judge(out))).toBe('HALT secret-egress');
  });

  it('in the same call, whatever process does it', () => {
    const given = session();
    given.judge(secret, { actor: { pid: 200, parent: 1 }, call: 'c1' });
    given.wait(3_600_000);
    expect(told(given.judge(out, { actor: { pid: 300, parent: 2 }, call: 'c2' }))).toBe('SAFE');
    expect(told(given.judge(out, { actor: { pid: 300, parent: 2 }, call: 'c1' }))).toBe('HALT secret-egress');
  });

  it('is a flag to listed domains and for DNS, and nothing to this host', () => {
    const given = session(scopeOf('scope: { network: { allowed_domains: [example.com] } }'));
    given.judge(secret);
    expect(told(given.judge(connect('api.example.com')))).toBe('FLAG secret-egress');
    expect(told(given.judge(connect(undefined, '10.0.0.2', 53)))).toBe('FLAG unknown-domain');
    expect(told(given.judge(connect('localhost', '127.0.0.1')))).toBe('SAFE');
  });

  it('is not what a tool does with its own file', () => {
    const given = session();
    const npm = { exe: '/usr/bin/node', argv: ['node', '/usr/lib/node_modules/npm/bin/npm-cli.js', 'install'] };
    expect(told(given.judge(read(`${HOME}/.npmrc`), { actor: npm }))).toBe('SAFE');
    expect(told(given.judge(connect('registry.example'), { actor: npm }))).toBe('SAFE');
    const script = { exe: '/usr/bin/node', argv: ['node', `${WORK}/node_modules/evil/npm-cli.js`] };
    expect(told(given.judge(read(`${HOME}/.npmrc`), { actor: script }))).toBe('FLAG secret-read');
    expect(told(given.judge(connect('registry.example'), { actor: script }))).toBe('HALT secret-egress');
  });

  it('a flood of secrets and of processes hides none', () => {
    const given = session();
    given.judge(secret, { actor: { pid: 7, parent: 6 } });
    for (let pid = 1000; pid < 1000 + MAX_TAINTED; pid++) given.judge(secret, { actor: { pid, parent: pid }, call: `call-${pid}` });
    given.wait(3_600_000);
    expect(told(given.judge(out, { actor: { pid: 7, parent: 6 } }))).toBe('HALT secret-egress');
  });

  it('is over when a person let it go on', () => {
    const given = session();
    given.judge(secret);
    const verdict = given.judge(out);
    given.engine.accept(verdict);
    expect(told(given.judge(out))).toBe('SAFE');
    given.judge(secret);
    expect(told(given.judge(out))).toBe('HALT secret-egress');
  });
});

describe('flags', () => {
  it('halt by number, each thing counted once', () => {
    const given = session(scopeOf('scope: { behavior: { flag_threshold: 3 } }'));
    expect(
      last(
        given,
        many(10, () => read(`${HOME}/.aws/credentials`)),
      ),
    ).toBe('FLAG secret-read');
    given.judge(read('/etc/shadow'));
    expect(told(given.judge(read(`${HOME}/.kube/config`)))).toBe('HALT flag-accumulation');
    given.wait(300_001);
    expect(told(given.judge(read('/etc/gshadow')))).toBe('FLAG secret-read');
  });

  it('kill where the scope says so, and halt before', () => {
    const given = session(scopeOf('scope: { behavior: { flag_threshold: 3, flag_kill: true, halt_threshold: 2 } }'));
    const flags = ['/etc/shadow', '/etc/gshadow', '/etc/krb5.keytab'].map((path) => told(given.judge(read(path))));
    expect(flags).toEqual(['FLAG secret-read', 'HALT flag-accumulation', 'KILL flag-accumulation']);
  });

  it('under a predecessor scope every one counts, and only its variable makes them kill', () => {
    const text = 'behavior: { flag_threshold: 3, flag_window: 60, max_actions_per_minute: 1000 }';
    expect(
      last(
        session(scopeOf(text)),
        many(10, () => read('/x')),
      ),
    ).toBe('FLAG outside-scope');
    expect(
      last(
        session(scopeOf(text, { WARDEN_KILL_ON_FLAGS: '1' })),
        many(3, () => read('/x')),
      ),
    ).toBe('KILL flag-accumulation');
    expect(
      last(
        session(scopeOf(`${text.slice(0, -2)}, halt_threshold: 2 }`)),
        many(2, () => read('/x')),
      ),
    ).toBe('HALT flag-accumulation');
  });

  it('that somebody else makes count too', () => {
    const { engine } = session(scopeOf('scope: { behavior: { flag_threshold: 2 } }'));
    const one = activity(read('/x'), { seq: 1, at: 5 });
    expect(engine.flagged(one, 'intent a')).toBeUndefined();
    expect(engine.flagged({ ...one, seq: 2 }, 'intent a')).toBeUndefined();
    expect(engine.flagged({ ...one, seq: 3 }, 'intent b')).toMatchObject({ level: 'HALT', rule: 'flag-accumulation', evidence: [2, 3] });
  });
});

describe('rates', () => {
  it('more than the limit in a minute is a KILL, and reading is not doing', () => {
    const scope = 'scope: { behavior: { max_actions_per_minute: 30 } }';
    expect(
      last(
        session(scopeOf(scope)),
        many(30, (n) => write(`${WORK}/${n}`)),
      ),
    ).toBe('SAFE');
    expect(
      last(
        session(scopeOf(scope)),
        many(31, (n) => write(`${WORK}/${n}`)),
      ),
    ).toBe('KILL rate-limit');
    expect(
      last(
        session(scopeOf(scope)),
        many(500, (n) => read(`${WORK}/${n}`)),
      ),
    ).toBe('SAFE');
    expect(
      last(
        session(),
        many(5000, (n) => write(`${WORK}/${n}`)),
      ),
    ).toBe('SAFE');
  });

  it('under a predecessor scope 60 unless it says otherwise, reading included', () => {
    const scope = 'filesystem: { allowed_paths: ["/tmp/safe/**"] }';
    expect(
      last(
        session(scopeOf(scope)),
        many(60, (n) => read(`/tmp/safe/${n}`)),
      ),
    ).toBe('SAFE');
    expect(
      last(
        session(scopeOf(scope)),
        many(61, (n) => read(`/tmp/safe/${n}`)),
      ),
    ).toBe('KILL rate-limit');
  });

  it('a fork bomb', () => {
    expect(
      last(
        session(),
        many(2999, (n) => spawn(n + 1000)),
      ),
    ).toBe('SAFE');
    expect(
      last(
        session(),
        many(3000, (n) => spawn(n + 1000)),
      ),
    ).toBe('HALT fork-rate');
    expect(told(session().judge({ kind: 'resource', processes: 2000 }))).toBe('HALT fork-rate');
  });
});

describe('resources', () => {
  it('much processor time counts when it lasts', () => {
    const given = session();
    const verdicts: string[] = [];
    for (let second = 0; second <= 300; second++) {
      verdicts.push(told(given.judge({ kind: 'resource', processes: 5, cpu_percent: 3000 })));
      given.wait(1000);
    }
    expect(verdicts.slice(0, 280)).toEqual(Array(280).fill('SAFE'));
    expect(verdicts.at(-1)).toBe('FLAG cpu-use');
  });

  it('memory and what is written', () => {
    const gigabyte = 1_073_741_824;
    expect(told(session().judge({ kind: 'resource', processes: 1, rss_bytes: 16 * gigabyte }))).toBe('HALT memory-use');
    const growing = session();
    growing.judge({ kind: 'resource', processes: 1, rss_bytes: gigabyte, write_bytes: 0 });
    growing.wait(30_000);
    expect(told(growing.judge({ kind: 'resource', processes: 1, rss_bytes: 10 * gigabyte }))).toBe('FLAG memory-use');
    expect(told(growing.judge({ kind: 'resource', processes: 1, rss_bytes: gigabyte, write_bytes: 21 * gigabyte }))).toBe('HALT disk-use');
    expect(
      told(session().judge({ kind: 'resource', processes: 40, rss_bytes: 4 * gigabyte, cpu_percent: 800, write_bytes: 10 * gigabyte })),
    ).toBe('SAFE');
  });
});

describe('programs this session wrote', () => {
  const run = (path: string): Action => ({ kind: 'exec', exe: path, argv: [path] });

  it('are halted outside of the workspace, under whichever name', () => {
    const given = session();
    given.judge(write('/tmp/x'));
    expect(told(given.judge(run('/tmp/./x')))).toBe('HALT dropped-exec');
    given.judge({ kind: 'rename', path: '/tmp/a', to: '/tmp/b' });
    expect(told(given.judge(run('/tmp/b')))).toBe('HALT dropped-exec');
    given.judge(write('/tmp/s.py'));
    expect(told(given.judge(exec('python3', '/tmp/s.py')))).toBe('HALT dropped-exec');
    given.judge(write('/tmp/x.so'));
    expect(told(given.judge({ kind: 'load', path: '/tmp/x.so' }))).toBe('HALT dropped-exec');
  });

  it('are ordinary in the workspace, in packages, and out of a compiler', () => {
    const given = session();
    given.judge(write(`${WORK}/run.sh`));
    expect(told(given.judge(run(`${WORK}/run.sh`)))).toBe('SAFE');
    given.judge(write(`${HOME}/.npm/_npx/1/node_modules/.bin/x`));
    expect(told(given.judge(run(`${HOME}/.npm/_npx/1/node_modules/.bin/x`)))).toBe('FLAG dropped-exec');
    given.judge(write('/tmp/go-build1/b001/exe/a.out'), { actor: { exe: '/usr/local/go/pkg/tool/linux_amd64/link' } });
    given.judge({ kind: 'rename', path: '/tmp/go-build1/b001/exe/a.out', to: '/tmp/go-build1/b001/exe/main' });
    expect(told(given.judge(run('/tmp/go-build1/b001/exe/main')))).toBe('FLAG dropped-exec');
    expect(told(given.judge(run('/tmp/was-there-before')))).toBe('SAFE');
  });

  it('are found after a flood of others', () => {
    const given = session();
    given.judge(write('/tmp/x'));
    for (let n = 0; n < 50_000; n++) given.judge(write(`/tmp/flood/${n}`, false));
    expect(told(given.judge(run('/tmp/x')))).toBe('HALT dropped-exec');
  });
});

describe('memory of others', () => {
  it('is fine within the tree, a KILL outside of it', () => {
    const { judge } = session(undefined, { isMember: (pid) => pid === 101 });
    expect(told(judge({ kind: 'memory', target: 101 }))).toBe('SAFE');
    expect(told(judge({ kind: 'memory', target: 1 }))).toBe('KILL foreign-memory');
    expect(told(judge(exec('gdb', '-p', '101')))).toBe('SAFE');
    expect(told(judge(exec('strace', '-fp', '1')))).toBe('SAFE');
    expect(told(judge(exec('strace', '-f', '-p', '1')))).toBe('KILL foreign-memory');
  });
});

it('worst of all looks is told', () => {
  expect(worst(session(), [read(`${WORK}/x`), exec('curl', 'https://x.example'), read(`${HOME}/.ssh/id_rsa`)])).toBe('KILL ssh-keys');
});
