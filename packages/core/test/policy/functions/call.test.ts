import { describe, expect, it } from 'vitest';
import { conditionValue } from '../../../src/policy/condition-value.ts';
import { compileCondition } from '../../../src/policy/conditions.ts';
import { MAX_LEAVES } from '../../../src/policy/functions/call/leaves.ts';
import { policyInput } from '../input.ts';

type Found = 'runs' | 'executes' | 'commands' | 'queries' | 'paths' | 'writes' | 'scripts' | 'targets';

/** Whether the function gives exactly this, asked the way a rule asks. */
function gives(
  name: Found | 'recipients' | 'amounts' | 'payees',
  tool: string,
  args: unknown,
  expected: readonly (string | number)[],
): boolean {
  const given = ['recipients', 'amounts', 'payees'].includes(name) ? `${name}(args)` : `${name}(tool, args)`;
  const list = `[${expected.map((item) => (typeof item === 'number' ? item.toFixed(2) : JSON.stringify(item))).join(', ')}]`;
  const condition = compileCondition(`${given}.size() == ${expected.length} && ${given}.all(x, x in ${list})`, 'test');
  // An empty list in `in` compares with nothing; `all` over nothing asks nothing.
  return condition(policyInput({ tool: { name: tool }, args: args as never }));
}

describe('commands(tool, args)', () => {
  it.each([
    ['bash', { command: 'ls' }, ['ls']],
    ['anything', { command: 'rm -rf /' }, ['rm -rf /']],
    ['runCommand', { cmd: 'ls', cwd: '/srv', timeout: 5 }, ['ls']],
    ['exec', { command: ['bash', '-lc', 'rm -rf ~'] }, ["bash -lc 'rm -rf ~'", 'rm -rf ~']],
    ['exec', { commands: ['ls', 'rm x'] }, ['ls', 'rm x']],
    ['process_start', { program: '/bin/rm', args: ['-rf', '/a b'] }, ["/bin/rm -rf '/a b'"]],
    ['x', { command: 'git', args: ['push', "it's"] }, ['git', "git push 'it'\\''s'"]],
    ['terminal', { input: 'whoami', description: 'who' }, ['whoami']],
    ['shell', 'reboot', ['reboot']],
    ['deep', { steps: [{ run: { shell_command: 'a' } }, { run: { shellCommand: 'b' } }] }, ['a', 'b']],
    ['execute_python', { code: "import os; os.system('rm -rf /')" }, ['rm -rf /']],
    ['execute_python', { code: 'subprocess.run(["rm", "-rf", "/home"])' }, ['rm -rf /home']],
    ['run_js', { code: 'const s = "no process is started"' }, []],
    ['browser_evaluate', { script: 'document.querySelector("rm -rf /")' }, []],
    ['write_file', { path: 'a', content: 'rm -rf /' }, []],
    ['web_search', { query: 'rm -rf /' }, []],
    ['bash', { command: '' }, []],
    ['x', { constructor: { command: 'ls' } }, ['ls']],
    ['x', 5, []],
    ['x', null, []],
  ])('%s %j', (tool, args, expected) => {
    expect(gives('commands', tool, args, expected)).toBe(true);
  });
});

describe('queries(tool, args)', () => {
  it.each([
    ['q', { sql: 'anything at all' }, ['anything at all']],
    ['q', { query: 'select 1' }, ['select 1']],
    ['q', { query: ' -- x\n /* y */ (DELETE from a' }, [' -- x\n /* y */ (DELETE from a']],
    ['q', { query: 'how to drop a table' }, []],
    ['web_search', { query: 'drop table users' }, []],
    ['web_search', { sql: 'drop table users' }, ['drop table users']],
    ['es', { query: { match: { message: 'x' } } }, []],
  ])('%s %j', (tool, args, expected) => {
    expect(gives('queries', tool, args, expected)).toBe(true);
  });
});

describe('paths, writes and scripts', () => {
  it.each([
    ['paths', 'read_file', { path: 'a/b' }, ['a/b']],
    ['paths', 'read', { paths: ['a', 'b'] }, ['a', 'b']],
    ['paths', 'x', { whatever: '/etc/passwd' }, ['/etc/passwd']],
    ['paths', 'x', { note: '/etc/passwd is a file' }, []],
    ['paths', 'x', { filePath: '~/.ssh/id_rsa' }, ['~/.ssh/id_rsa']],
    ['paths', 'x', { url: 'https://a.example/etc/passwd' }, []],
    ['paths', 'x', { uri: 'file:///etc/passwd' }, ['file:///etc/passwd']],
    ['runs', 'bash', { command: 'sudo cat a | grep b' }, ['sudo', 'cat', 'grep']],
    ['runs', 'x', { note: 'sudo cat' }, []],
    ['executes', 'bash', { command: 'sh /tmp/a.sh && ./b' }, ['/tmp/a.sh', './b']],
    ['writes', 'bash', { command: 'echo x > /etc/a' }, ['/etc/a']],
    ['writes', 'read_file', { path: 'a' }, []],
    ['writes', 'write_file', { path: 'a', content: 'b' }, ['a']],
    ['writes', 'tool', { file: 'a', content: 'b' }, ['a']],
    ['writes', 'moveFile', { source: 'a', destination: 'b' }, ['a', 'b']],
    ['scripts', 'write_file', { path: 'a.sh', content: 'ls' }, ['ls']],
    ['scripts', 'write_file', { path: 'a', content: '#!/usr/bin/env bash\nls' }, ['#!/usr/bin/env bash\nls']],
    ['scripts', 'write_file', { path: 'a.md', content: 'ls' }, []],
  ] as const)('%s of %s %j', (name, tool, args, expected) => {
    expect(gives(name, tool, args, expected)).toBe(true);
  });
});

describe('targets, recipients, amounts and payees', () => {
  it.each([
    ['targets', 'x', { url: 'https://a.example/b' }, ['https://a.example/b']],
    ['targets', 'x', { anything: 'https://a.example' }, ['https://a.example']],
    ['targets', 'x', { host: 'a.example' }, ['http://a.example']],
    ['targets', 'x', { url: '10.0.0.1/x' }, ['http://10.0.0.1/x']],
    ['targets', 'write_file', { path: 'a', content: 'https://a.example' }, []],
    ['targets', 'bash', { command: 'curl https://a.example/x' }, ['http://a.example']],
    // To the shell a pattern, to curl an address.
    ['targets', 'bash', { command: 'curl http://[::ffff:169.254.169.254]/x' }, ['http://[::ffff:169.254.169.254]/x']],
    ['targets', 'bash', { command: 'echo http://10.0.0.1/' }, []],
    ['targets', 'x', { text: 'see https://a.example' }, []],
    ['recipients', 'x', { to: 'Eve <EVE@evil.example>, a@ours.example' }, ['eve@evil.example', 'a@ours.example']],
    ['recipients', 'x', { to: ['a@b.example'], bcc: 'c@d.example' }, ['a@b.example', 'c@d.example']],
    ['recipients', 'x', { to: 'Team' }, ['team']],
    ['recipients', 'x', { body: 'a@b.example' }, []],
    ['amounts', 'x', { amount: 5, total: '1,200.50', other: 7 }, [5, 1200.5]],
    ['amounts', 'x', { amount: { value: '$ 9.99' } }, [9.99]],
    ['amounts', 'x', { amount: 'all of it' }, []],
    ['payees', 'x', { beneficiary: { iban: 'X' }, to_account: 'Y' }, ['X', 'Y']],
    ['payees', 'x', { account: 'main', total: 5 }, ['main']],
  ] as const)('%s of %s %j', (name, tool, args, expected) => {
    expect(gives(name, tool, args, expected)).toBe(true);
  });
});

describe('named(tool, words)', () => {
  it.each(['sendMail', 'send_mail', 'mail-send', 'MAIL.SEND', 'send2'])('%s holds send', (tool) => {
    expect(compileCondition("named(tool, ['send'])", 't')(policyInput({ tool: { name: tool } }))).toBe(true);
  });

  it.each(['resend', 'sender', 'mail', ''])('%s does not', (tool) => {
    expect(compileCondition("named(tool, ['send'])", 't')(policyInput({ tool: { name: tool } }))).toBe(false);
  });

  it('is a fault for what is no word', () => {
    expect(() => compileCondition('named(tool, [1])', 't')(policyInput())).toThrow('list of words');
  });
});

describe('hostile arguments', () => {
  const run = (source: string, args: unknown) =>
    compileCondition(source, 't')(policyInput({ tool: { name: 'run_python' }, args: args as never }));

  it('more texts than the bound are a fault, not a guess', () => {
    expect(() => run('commands(tool, args).size() == 0', { a: Array(MAX_LEAVES + 1).fill('x') })).toThrow('more than');
  });

  it.each([
    ["\\'".repeat(50_000), 'escapes'],
    ['`\\`'.repeat(30_000), 'back quotes'],
    ['["'.repeat(50_000), 'open lists'],
    ["'a',".repeat(25_000), 'a long list'],
  ])('reads each character of code once: %#', (code) => {
    expect(run('commands(tool, args).size() >= 0', { code: `exec ${code}` })).toBe(true);
  });

  it.each(['/**/'.repeat(20_000), '/*'.repeat(40_000), '--\n'.repeat(30_000), '('.repeat(90_000)])(
    'finds the start of a statement: %#',
    (query) => {
      expect(run('queries(tool, args).size() == 0', { query })).toBe(true);
    },
  );

  it('recipients of a long text are found in one pass', () => {
    expect(run('recipients(args).size() >= 0', { to: Array(1000).fill('a'.repeat(4096)) })).toBe(true);
  });

  it('reads maps of conditions and never a prototype', () => {
    expect(conditionValue({})).toBeInstanceOf(Map);
    expect(run('paths(tool, args).size() == 0', { toString: 'x', hasOwnProperty: 5 })).toBe(true);
  });
});
