import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { allCommands, COMMANDS as LISTED } from '../src/commands/index.ts';
import { EXIT } from '../src/exit-codes.ts';
import { folder, json, run } from './harness.ts';

const COMMANDS = await allCommands();

const VERSION: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

it.each([
  ['run', 'sh', '-c', 'ls'],
  ['run', 'ls'],
  ['run', '--mode', 'audit_only', 'ls', '-l'],
  ['proxy', 'npx', '-y', 'some-server'],
])('a command without its `--` is told where to put it: %s %s %s', async (...argv) => {
  const { code, stderr } = await run(argv);
  const program = argv.find((word) => ['sh', 'ls', 'npx'].includes(word));
  expect({ code, stderr }).toMatchObject({ code: EXIT.USAGE, stderr: expect.stringContaining(`countersign ${argv[0]} -- ${program} ...`) });
});

describe('the surface', () => {
  it('has these exit codes', () => {
    expect(EXIT).toEqual({ OK: 0, FAILED: 1, USAGE: 2, NOT_PROVEN: 3, CANNOT_READ: 4 });
  });

  it('lists each command under its own name', () => {
    expect(LISTED.map(({ name }) => name)).toEqual(COMMANDS.map(({ name }) => name));
  });

  it('has these commands and options', () => {
    const surface = COMMANDS.map(({ name, options, positionals }) => [
      name,
      ...positionals.map((word) => (word.required ? `<${word.name}>` : `[${word.name}]`)),
      ...options.map((option) => `--${option.name}${option.kind === 'switch' ? '' : option.kind === 'texts' ? '=*' : '='}`),
    ]);
    expect(surface).toEqual([
      ['init', '--agent=', '--force'],
      ['doctor'],
      [
        'proxy',
        '--server=',
        '--agent=',
        '--wrapped=',
        '--url=',
        '--header=*',
        '--header-env=*',
        '--header-file=',
        '--transport=',
        '--ca=',
        '--allow-insecure',
        '--listen=',
        '--allow-host=*',
        '--allow-origin=*',
        '--public-url=',
      ],
      ['wrap', '[client]', '--server=*', '--project', '--file=', '--dry-run', '--hooks'],
      ['unwrap', '<client>', '--server=*', '--project', '--file=', '--dry-run', '--hooks'],
      ['hook claude-code', '--wait=', '--answer=', '--deny=', '--mcp-server=*', '--proxied=*', '--agent='],
      ['serve', '--socket=', '--port='],
      ['approvals list', '--state=', '--agent=', '--session=', '--tool=', '--limit=', '--after=', '--grants'],
      ['approvals show', '<id>'],
      ['approvals watch', '--agent=', '--session=', '--tool=', '--bell'],
      [
        'approvals approve',
        '<id>',
        '--key=',
        '--as=',
        '--passphrase-file=',
        '--message=',
        '--args=',
        '--grant=',
        '--uses=',
        '--reason=',
        '--when=',
        '--scope=',
      ],
      ['approvals deny', '<id>', '--key=', '--as=', '--passphrase-file=', '--message='],
      ['approvals revoke', '<id>', '--key=', '--as=', '--passphrase-file=', '--message='],
      ['pins list', '--server=', '--changed'],
      ['pins show', '<tool>'],
      ['pins accept', '[tools]', '--server=', '--all', '--digest=', '--key=', '--as=', '--passphrase-file='],
      ['pins revoke', '[tools]', '--server=', '--all', '--key=', '--as=', '--passphrase-file='],
      ['console', '--port=', '--as=', '--no-open', '--link-file='],
      ['budgets', '--budget=', '--key='],
      [
        'run',
        '--task=',
        '--scope=',
        '--mode=',
        '--model=',
        '--poll=',
        '--log-dir=',
        '--agent=',
        '--verbose',
        '--kernel=',
        '--trap-reads=',
        '--probe',
        '--contain=',
      ],
      ['attach', '--pid=', '--name=', '--task=', '--scope=', '--mode=', '--model=', '--poll=', '--log-dir=', '--agent=', '--verbose'],
      ['halt', '[session]'],
      ['resume', '[id]', '--all', '--deny', '--kill', '--override=', '--reason=', '--key=', '--as=', '--passphrase-file=', '--message='],
      ['incidents list', '--limit=', '--log-dir='],
      ['incidents show', '[id]', '--all', '--log-dir='],
      ['incidents restore', '[file-id]', '--unrecorded', '--log-dir='],
      ['report', '--last=', '--format=', '--out=', '--force', '--workspace=', '--sysmond-logs=', '--log-dir='],
      ['replay', '<log>', '--scope=', '--workspace=', '--home=', '--exit-code', '--log-dir='],
      ['policy check', '[file]', '--tools=*', '--ledger=', '--strict'],
      ['policy test', '[files]', '--require-coverage', '--all'],
      ['policy packs', '[name]'],
      [
        'policy explain',
        '[call]',
        '--policy=',
        '--tool=',
        '--args=',
        '--principal=',
        '--label=*',
        '--mode=',
        '--id=',
        '--ledger=',
        '--all',
      ],
      [
        'policy replay',
        '[ledger]',
        '--policy=',
        '--tool=',
        '--agent=',
        '--session=',
        '--effect=',
        '--since=',
        '--until=',
        '--all',
        '--labels=',
        '--check-openings',
        '--assume-no-links',
        '--exit-code',
      ],
      ['policy suggest', '[ledger]', '--tool=', '--agent=', '--session=', '--since=', '--until=', '--id=', '--output=', '--force'],
      [
        'policy sign',
        '<file>',
        '--key=',
        '--as=',
        '--passphrase-file=',
        '--out=',
        '--serial=',
        '--expires=',
        '--force',
        '--verify',
        '--public-key=*',
        '--threshold=',
      ],
      [
        'verify',
        '[ledger]',
        '--public-key=*',
        '--tsa-cert=*',
        '--against=',
        '--since=',
        '--expect-size=',
        '--expect-head=',
        '--threads=',
        '--strict',
      ],
      ['head', '[ledger]'],
      ['consistency make', '[ledger]', '--from=', '--output=', '--force'],
      ['consistency check', '<file>', '--public-key=*', '--from=', '--to='],
      [
        'receipt make',
        '[ledger]',
        '--call=',
        '--leaf=',
        '--entry=',
        '--request-id=',
        '--decision-hash=',
        '--output=',
        '--force',
        '--no-opening',
        '--only=',
      ],
      ['receipt check', '<file>', '--public-key=*', '--tsa-cert=*', '--origin='],
      ['disclose', '[ledger]', '--call=', '--leaf=', '--entry=', '--field=*', '--output=', '--force'],
      ['forget', '--call=*', '--entry=*', '--session=*', '--reason-code='],
      [
        'export',
        '[ledger]',
        '--format=',
        '--output=',
        '--force',
        '--no-openings',
        '--sign-key=',
        '--passphrase-file=',
        '--call=',
        '--request-id=',
        '--tool=',
        '--agent=',
        '--session=',
        '--effect=',
        '--reason-code=',
        '--kind=',
        '--since=',
        '--until=',
        '--limit=',
      ],
      [
        'filter',
        '[ledger]',
        '--call=',
        '--request-id=',
        '--tool=',
        '--agent=',
        '--session=',
        '--effect=',
        '--reason-code=',
        '--kind=',
        '--since=',
        '--until=',
        '--limit=',
        '--no-openings',
        '--output=',
        '--force',
      ],
      ['search', '[ledger]', '--query=', '--in=', '--since=', '--until=', '--limit='],
      ['show', '[ledger]', '<entry>'],
      ['anchor'],
      ['keygen', '--out=', '--name=', '--passphrase-file='],
      ['rotate-key', '--new-key=', '--passphrase-file=', '--new-passphrase-file='],
    ]);
  });
});

describe('help', () => {
  it('lists everything', async () => {
    const ran = await run(['--help']);
    expect(ran.code).toBe(0);
    await expect(ran.stdout).toMatchFileSnapshot('golden/help.txt');
    expect(ran.stderr).toBe('');
    expect((await run(['help'])).stdout).toBe(ran.stdout);
    expect((await run(['-h'])).stdout).toBe(ran.stdout);
  });

  it.each(COMMANDS.map(({ name }) => name))('explains %s with an example, within 100 columns', async (name) => {
    const ran = await run([...name.split(' '), '--help']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('example:\n  countersign');
    for (const option of ['--json', '--config FILE', '--help']) expect(ran.stdout).toContain(option);
    await expect(ran.stdout).toMatchFileSnapshot(`golden/help-${name.replace(' ', '-')}.txt`);
    expect((await run(['help', ...name.split(' ')])).stdout).toBe(ran.stdout);
    expect(Math.max(...ran.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('without any word shows the overview and is a usage error', async () => {
    const ran = await run([]);
    expect(ran.code).toBe(2);
    expect(ran.stdout).toContain('begin:\n  init ');
  });
});

describe('--version', () => {
  it('prints the version of the package', async () => {
    expect(await run(['--version'])).toEqual({ code: 0, stdout: `${String(VERSION)}\n`, stderr: '' });
    expect(json(await run(['--version', '--json']))).toEqual({ version: VERSION });
  });
});

const WRONG: readonly (readonly [readonly string[], string])[] = [
  [['verifi'], 'unknown command "verifi", did you mean "verify"?'],
  [['stop'], 'unknown command "stop", did you mean "halt"?'],
  [['kill', '--all'], 'unknown command "kill", did you mean "halt"?'],
  [['constructor'], 'unknown command "constructor"'],
  [['__proto__'], 'unknown command "__proto__"'],
  [['approvals'], 'approvals needs a verb'],
  [['approvals', 'lst'], 'unknown command "approvals lst", did you mean "list"?'],
  [['--vresion'], 'unknown option "--vresion"'],
  [['verify', '--pubic-key', 'k'], 'unknown option "--pubic-key", did you mean "--public-key"?'],
  [['verify', '--__proto__', 'k'], 'unknown option "--__proto__"'],
  [['verify', '-x'], 'unknown option "-x"'],
  [['verify', 'a', 'b'], 'verify: unexpected argument "b"'],
  [['verify', '--public-key'], '--public-key needs a value'],
  [['verify', '--public-key='], '--public-key needs a value'],
  [['verify', '--public-key', '--strict'], '--public-key needs a value'],
  [['verify', '--strict=yes'], '--strict takes no value'],
  [['verify', '--against', 'a', '--against', 'b'], '--against may be given once'],
  [['approvals', 'show'], 'approvals show needs <id>'],
  [['approvals', 'approve', '--as', 'x'], 'approvals approve needs <id>'],
  [['proxy'], 'proxy needs a command after `--`'],
  [['proxy', '--'], 'proxy needs a command after `--`'],
  [['proxy', 'npx', 'server'], 'proxy: unexpected argument "npx"'],
  [['--config'], 'no command'],
  [['export', '--format', 'xml'], 'unknown format "xml"'],
];

describe('a wrong command line', () => {
  it.each(WRONG)('%j is refused with exit 2 and advice', async (argv, message) => {
    const ran = await run(argv);
    expect(ran.code).toBe(2);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toContain(`countersign: ${message}`);
    expect(ran.stderr).toContain(' [USAGE]\n  next: ');
  });

  it('is a JSON document with --json, and says the same to people', async () => {
    const ran = await run(['verify', '--pubic-key', 'k', '--json']);
    expect(ran.code).toBe(2);
    expect(json(ran)).toEqual({ error: { code: 'USAGE', message: 'unknown option "--pubic-key", did you mean "--public-key"?' } });
    expect(ran.stderr).toContain('did you mean');
  });

  it('never puts anything of ours where a protocol belongs', async () => {
    const ran = await run(['--json', 'proxy', '--servr', 'x', '--', 'node']);
    expect(ran.code).toBe(2);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toContain('did you mean "--server"?');
  });

  it('cannot act on the terminal', async () => {
    const ran = await run(['\u001b[2J\u202e'], { tty: true });
    expect(ran.code).toBe(2);
    expect(ran.stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe('options before the command', () => {
  it('count as if they stood behind it', async () => {
    const cwd = folder();
    const ran = await run(['--json', '--config', 'other.yaml', 'doctor'], { cwd });
    expect(ran.stdout).toContain('other.yaml');
    expect(json(ran)['status']).toBe('fail');
  });
});

describe('standard output that fails', () => {
  const failing = (code: string): Writable =>
    new Writable({
      write(_chunk, _encoding, done) {
        done(Object.assign(new Error(`write ${code}`), { code, syscall: 'write' }));
      },
    });

  it('is quiet when the reader has left', async () => {
    const ran = await run(['--help'], { stdout: failing('EPIPE') });
    expect(ran).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('is an error when the disk is full', async () => {
    const ran = await run(['--help'], { stdout: failing('ENOSPC') });
    expect(ran.code).toBe(4);
    expect(ran.stderr).toContain('[ENOSPC]');
  });
});
