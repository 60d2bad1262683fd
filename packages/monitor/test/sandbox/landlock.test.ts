import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { abi, madeUp, noLandlock, runConfined } from './confined.ts';

const NOBODY = 65_534;
/** `tried(fn)` is what came of it: `done` or the code of the error. */
const PRELUDE = `
const fs = require('node:fs'), path = require('node:path'), net = require('node:net'), { spawnSync } = require('node:child_process');
const [home, workspace, tmp, secret, ...rest] = process.argv.slice(1);
const tried = (fn) => { try { fn(); return 'done'; } catch (error) { return error.code ?? String(error); } };
const connected = (to) => new Promise((done) => {
  const socket = net.connect(to, () => { socket.destroy(); done('done'); });
  socket.on('error', (error) => done(error.code));
});
const say = (value) => console.log(JSON.stringify(value));
`;

async function outcome(script: string, ...rest: [ReturnType<typeof madeUp>, Parameters<typeof runConfined>[2]?]): Promise<unknown> {
  const { out, error, code } = await runConfined(`${PRELUDE}${script}`, ...rest);
  expect({ error, code }).toEqual({ error: '', code: 0 });
  return JSON.parse(out);
}

describe.skipIf(noLandlock !== undefined)(`under landlock (${noLandlock ?? `ABI ${abi}`})`, () => {
  it('an ordinary program works: it reads what the system has, and writes in its workspace and in tmp', async () => {
    const world = madeUp();
    const got = await outcome(
      `say({
        write: tried(() => fs.writeFileSync('made', 'x')), folder: tried(() => fs.mkdirSync('a/b', { recursive: true })),
        move: tried(() => fs.renameSync('made', 'a/b/made')), link: tried(() => fs.symlinkSync('a', 'l')),
        hard: tried(() => fs.linkSync('a/b/made', 'hard')), cut: tried(() => fs.truncateSync('hard', 0)),
        remove: tried(() => fs.rmSync('a', { recursive: true })), tmp: tried(() => fs.writeFileSync(path.join(tmp, 'x'), 'x')),
        null: tried(() => fs.writeFileSync('/dev/null', 'x')), passwd: tried(() => fs.readFileSync('/etc/passwd')),
        own: tried(() => fs.readFileSync('/proc/self/status')), shell: spawnSync('/bin/sh', ['-c', 'ls | wc -l'], { encoding: 'utf8' }).stdout.trim(),
        child: spawnSync(process.execPath, ['-p', '1+1'], { encoding: 'utf8' }).stdout.trim(),
      })`,
      world,
    );
    const done = 'done';
    expect(got).toEqual({
      ...{ write: done, folder: done, move: done, link: done, hard: done, cut: done, remove: done, tmp: done },
      ...{ null: done, passwd: done, own: done, shell: '2', child: '2' },
    });
  });

  it('reads nothing outside, by whatever name, and not what a link in the workspace leads to', async () => {
    const world = madeUp();
    writeFileSync(join(world.home, '.bashrc'), 'x');
    symlinkSync(world.secret, join(world.workspace, 'link'));
    symlinkSync(join(world.home, '.ssh'), join(world.workspace, 'folder'));
    const got = await outcome(
      `say([secret, 'link', 'folder/id_ed25519', '../.ssh/id_ed25519', '/proc/self/root' + secret, '/proc/self/cwd/../.ssh/id_ed25519',
        path.join(home, '.bashrc'), '/etc/shadow'].map((file) => tried(() => fs.readFileSync(file)))
        .concat([home, '/', '/root', path.join(home, '.ssh')].map((folder) => tried(() => fs.readdirSync(folder)))))`,
      world,
    );
    expect(got).toEqual(Array.from({ length: 12 }, () => 'EACCES'));
  });

  it('changes nothing outside: no write, no new file, no rename in or out, no link, no truncate, no removal', async () => {
    const world = madeUp();
    const outside = join(world.home, 'docs');
    mkdirSync(outside);
    writeFileSync(join(outside, 'file'), 'kept');
    const got = await outcome(
      `fs.writeFileSync('mine', 'x');
      const [outside] = rest, file = path.join(outside, 'file');
      const all = {
        write: tried(() => fs.writeFileSync(file, 'x')), append: tried(() => fs.appendFileSync(file, 'x')), make: tried(() => fs.writeFileSync(file + '2', 'x')),
        folder: tried(() => fs.mkdirSync(path.join(outside, 'new'))), in: tried(() => fs.renameSync(file, 'stolen')),
        out: tried(() => fs.renameSync('mine', path.join(outside, 'mine'))), over: tried(() => fs.renameSync('mine', file)),
        link: tried(() => fs.linkSync(file, 'stolen')), linkOut: tried(() => fs.linkSync('mine', path.join(outside, 'mine'))),
        symlink: tried(() => fs.symlinkSync('x', path.join(outside, 'link'))), cut: tried(() => fs.truncateSync(file, 0)),
        remove: tried(() => fs.unlinkSync(file)), folderGone: tried(() => fs.rmdirSync(outside)),
        shell: spawnSync('/bin/sh', ['-c', 'rm -rf "$1"; echo $?', 'x', outside], { encoding: 'utf8' }).stdout.trim(),
      };
      say(all)`,
      world,
      { args: [outside] },
    );
    const refused = ['EACCES', 'EXDEV', 'EPERM'];
    const { shell, ...others } = got as Record<string, string>; // printed by the script above
    expect(shell).toBe('1');
    for (const [what, code] of Object.entries(others)) expect([what, refused.includes(code)]).toEqual([what, true]);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('kept');
    expect(existsSync(join(world.workspace, 'stolen'))).toBe(false);
  });

  it('A10: a link that a second thread swaps under 9000 opens leads to the secret not once', { timeout: 60_000 }, async () => {
    const swap = `
      const { Worker } = require('node:worker_threads');
      fs.writeFileSync('small', 'small');
      fs.symlinkSync('small', 'way');
      const worker = new Worker(\`
        const fs = require('node:fs'); const { workerData } = require('node:worker_threads');
        for (;;) for (const to of ['small', workerData]) { try { fs.symlinkSync(to, 'next'); fs.renameSync('next', 'way'); } catch {} }
      \`, { eval: true, workerData: secret });
      worker.on('online', () => setTimeout(() => {
        const seen = { small: 0, leaked: 0, refused: 0 };
        // Longer where the other thread has no processor of its own and neither has been met.
        for (let i = 0; i < 9000 || seen.small === 0 || seen.leaked + seen.refused === 0; i++) {
          try { seen[fs.readFileSync('way', 'utf8') === 'small' ? 'small' : 'leaked']++; } catch (error) { if (error.code === 'EACCES') seen.refused++; else throw error; }
        }
        say(seen); process.exit(0);
      }, 50));`;
    const confined = (await outcome(swap, madeUp())) as Record<string, number>; // printed by the script above
    expect(confined['leaked']).toBe(0);
    // Both were met, so the swap did hit.
    expect(confined['small']).toBeGreaterThan(0);
    expect(confined['refused']).toBeGreaterThan(0);
    const free = (await outcome(swap, madeUp(), { confine: false })) as Record<string, number>; // as above
    expect(free['leaked']).toBeGreaterThan(0);
  });

  it('grandchildren that left for a session of their own are held to it too', async () => {
    const script = `
      fs.writeFileSync('own', 'mine');
      const { stdout } = spawnSync('/usr/bin/setsid', ['--fork', '--wait', '/bin/sh', '-c', 'cat "$1" "$2" 2>&1', 'x', secret, 'own'], { encoding: 'utf8' });
      say({ refused: /Permission denied/.test(stdout), own: stdout.endsWith('mine'), leaked: stdout.includes('SECRET') })`;
    expect(await outcome(script, madeUp())).toEqual({ refused: true, own: true, leaked: false });
  });

  it.skipIf(abi < 4)('connects to the ports of the scope only', async () => {
    const [allowed, other] = await Promise.all([listening(0), listening(0)]);
    const script = `(async () => say([await connected({ port: +rest[0], host: '127.0.0.1' }), await connected({ port: +rest[1], host: '127.0.0.1' })]))()`;
    const ports = [port(allowed), port(other)];
    const args = ports.map(String);
    const scope = { network: { allowed_ports: ports.slice(0, 1) } };
    expect(await outcome(script, madeUp(), { args, scope })).toEqual(['done', 'EACCES']);
    expect(await outcome(script, madeUp(), { args })).toEqual(['done', 'done']);
    // An empty list is no port at all, not any.
    expect(await outcome(script, madeUp(), { args, scope: { network: { allowed_ports: [] } } })).toEqual(['EACCES', 'EACCES']);
  });

  it.skipIf(abi < 6)('reaches no abstract socket and signals nobody outside', async () => {
    const name = `\0countersign-${process.pid}-${Math.random()}`;
    await listening(name);
    const script = `(async () => {
      const name = rest[0].replace('@', '\\0');
      const own = net.createServer().listen('\\0own' + process.pid);
      await new Promise((done) => own.once('listening', done));
      say([await connected(name), await connected('\\0own' + process.pid), tried(() => process.kill(+rest[1], 0)), tried(() => process.kill(process.pid, 0))]);
      own.close();
    })()`;
    const args = [name.replace('\0', '@'), String(process.pid)];
    expect(await outcome(script, madeUp(), { args })).toEqual(['EPERM', 'done', 'EPERM', 'done']);
    expect(await outcome(script, madeUp(), { args, confine: false })).toEqual(['done', 'done', 'done', 'done']);
  });

  it.skipIf(process.getuid?.() !== 0)('holds an ordinary user, who reads the environment of none of its processes outside', async () => {
    const world = madeUp();
    for (const path of [join(world.home, '..'), world.home, world.workspace, join(world.home, '.ssh'), world.secret])
      chownSync(path, NOBODY, NOBODY);
    const child = fileURLToPath(new URL('./other-user-child.ts', import.meta.url));
    const argv = ['--conditions=@countersign/source', '--no-warnings', child, world.home, world.secret];
    const { stdout } = await promisify(execFile)(process.execPath, argv, { uid: NOBODY, gid: NOBODY, cwd: '/', env: {} });
    expect(JSON.parse(stdout)).toEqual({ uid: NOBODY, out: 'x\n', refused: abi < 6 ? 2 : 3 });
  });

  it('neither traces processes outside nor follows their folders', async () => {
    const world = madeUp();
    const script = `say(['root', 'cwd', 'exe'].map((name) => tried(() => fs.readlinkSync('/proc/' + rest[0] + '/' + name)))
      .concat(tried(() => fs.readFileSync('/proc/' + rest[0] + '/root' + secret)), tried(() => fs.readFileSync('/proc/' + rest[0] + '/mem'))))`;
    expect(await outcome(script, world, { args: [String(process.pid)] })).toEqual(Array.from({ length: 5 }, () => 'EACCES'));
  });
});

async function listening(at: number | string): Promise<Server> {
  const server = createServer((socket) => void socket.on('error', () => {}).end());
  await new Promise<void>((done) => (typeof at === 'number' ? server.listen(at, '127.0.0.1', done) : server.listen(at, done)));
  onTestFinished(() => void server.close());
  return server;
}

function port(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
