import fs, { readFileSync as importedEarlier } from 'node:fs';
import promises from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { install, thrown, verdictOf } from './installed.ts';

const require = createRequire(import.meta.url);
const WORD = 'canary-key';
const REFUSED = { name: 'CountersignError', code: 'ACTIVITY_REFUSED', details: { rule: 'canary', level: 'HALT' } };

let folder: string;
let secret: string;
let other: string;

beforeEach(() => {
  folder = fs.mkdtempSync(join(fs.realpathSync(tmpdir()), 'probe-'));
  secret = join(folder, WORD);
  other = join(folder, 'other');
  fs.writeFileSync(secret, 'the secret');
  fs.writeFileSync(other, 'nothing');
  const made = folder;
  return () => fs.rmSync(made, { recursive: true, force: true });
});

type Act = (path: string, other: string) => unknown;

const SYNC: readonly (readonly [string, Act])[] = [
  ['readFileSync', (path) => fs.readFileSync(path)],
  ['readFileSync utf8', (path) => fs.readFileSync(path, 'utf8')],
  ['openSync', (path) => fs.openSync(path, 'r')],
  ['openSync r+', (path) => fs.openSync(path, 'r+')],
  ['openSync by number', (path) => fs.openSync(path, fs.constants.O_RDONLY)],
  ['writeFileSync', (path) => fs.writeFileSync(path, 'x')],
  ['writeFileSync utf8', (path) => fs.writeFileSync(path, 'x', 'utf8')],
  ['appendFileSync', (path) => fs.appendFileSync(path, 'x')],
  ['truncateSync', (path) => fs.truncateSync(path)],
  ['unlinkSync', (path) => fs.unlinkSync(path)],
  ['rmSync', (path) => fs.rmSync(path)],
  ['rmdirSync', (path) => fs.rmdirSync(path)],
  ['mkdirSync', (path) => fs.mkdirSync(path)],
  ['mkdtempSync', (path) => fs.mkdtempSync(path)],
  ['readdirSync', (path) => fs.readdirSync(path)],
  ['opendirSync', (path) => fs.opendirSync(path)],
  ['chmodSync', (path) => fs.chmodSync(path, 0o777)],
  ['chownSync', (path) => fs.chownSync(path, 0, 0)],
  ['utimesSync', (path) => fs.utimesSync(path, 1, 1)],
  ['copyFileSync from', (path, to) => fs.copyFileSync(path, to)],
  ['copyFileSync to', (path, from) => fs.copyFileSync(from, path)],
  ['cpSync from', (path, to) => fs.cpSync(path, `${to}-copy`)],
  ['cpSync to', (path, from) => fs.cpSync(from, path)],
  ['renameSync from', (path, to) => fs.renameSync(path, to)],
  ['renameSync to', (path, from) => fs.renameSync(from, path)],
  ['linkSync of', (path, to) => fs.linkSync(path, `${to}-link`)],
  ['symlinkSync at', (path, to) => fs.symlinkSync(to, path)],
  ['openAsBlob', (path) => fs.openAsBlob(path)],
  ['watch', (path) => fs.watch(path)],
  ['watchFile', (path) => fs.watchFile(path, () => {})],
  ['Buffer', (path) => fs.readFileSync(Buffer.from(path))],
  ['Uint8Array', (path) => fs.readFileSync(new Uint8Array(Buffer.from(path)) as Buffer)],
  ['URL', (path) => fs.readFileSync(pathToFileURL(path))],
  ['what looks like a URL', (path) => fs.readFileSync({ href: pathToFileURL(path).href, protocol: 'file:' } as unknown as URL)],
  ['percent-encoded URL', (path) => fs.readFileSync(new URL(`file://${path.replace('canary', '%63anary')}`))],
  ['/proc/self/root', (path) => fs.readFileSync(`/proc/self/root${path}`)],
  ['dots', (path) => fs.readFileSync(`${folder}/x/../${path.slice(folder.length + 1)}`)],
  ['namespace import', async (path) => (await import('node:fs')).readFileSync(path)],
  ['named import from before', (path) => importedEarlier(path)],
  ['require', (path) => require('fs').readFileSync(path)],
  ['process.getBuiltinModule', (path) => process.getBuiltinModule('fs').readFileSync(path)],
];

const CALLBACK: readonly (readonly [string, (path: string, other: string, done: (error: unknown) => void) => void])[] = [
  ['readFile', (path, _, done) => fs.readFile(path, done)],
  ['readFile with options', (path, _, done) => fs.readFile(path, { encoding: 'utf8' }, done)],
  ['open', (path, _, done) => fs.open(path, done)],
  ['open with flags', (path, _, done) => fs.open(path, 'w', done)],
  ['writeFile', (path, _, done) => fs.writeFile(path, 'x', done)],
  ['appendFile', (path, _, done) => fs.appendFile(path, 'x', done)],
  ['truncate', (path, _, done) => fs.truncate(path, done)],
  ['unlink', (path, _, done) => fs.unlink(path, done)],
  ['rm', (path, _, done) => fs.rm(path, done)],
  ['rm with options', (path, _, done) => fs.rm(path, { force: true }, done)],
  ['mkdir', (path, _, done) => fs.mkdir(path, done)],
  ['readdir', (path, _, done) => fs.readdir(path, done)],
  ['copyFile', (path, to, done) => fs.copyFile(path, to, done)],
  ['cp', (path, to, done) => fs.cp(path, `${to}-copy`, done)],
  ['rename', (path, to, done) => fs.rename(path, to, done)],
  ['link', (path, to, done) => fs.link(path, `${to}-link`, done)],
  ['symlink', (path, to, done) => fs.symlink(to, path, done)],
  ['opendir', (path, _, done) => fs.opendir(path, done)],
  ['createReadStream', (path, _, done) => void fs.createReadStream(path).on('error', done)],
  ['createWriteStream', (path, _, done) => void fs.createWriteStream(path).on('error', done)],
  ['new ReadStream', (path, _, done) => void Reflect.construct(fs.ReadStream, [path]).on('error', done)],
];

const PROMISE: readonly (readonly [string, Act])[] = [
  ['readFile', (path) => promises.readFile(path)],
  ['open', (path) => promises.open(path)],
  ['writeFile', (path) => promises.writeFile(path, 'x')],
  ['appendFile', (path) => promises.appendFile(path, 'x')],
  ['truncate', (path) => promises.truncate(path)],
  ['unlink', (path) => promises.unlink(path)],
  ['rm', (path) => promises.rm(path, { recursive: true })],
  ['mkdir', (path) => promises.mkdir(path)],
  ['readdir', (path) => promises.readdir(path)],
  ['opendir', (path) => promises.opendir(path)],
  ['copyFile', (path, to) => promises.copyFile(path, to)],
  ['cp', (path, to) => promises.cp(path, `${to}-copy`)],
  ['rename', (path, to) => promises.rename(path, to)],
  ['link', (path, to) => promises.link(path, `${to}-link`)],
  ['symlink', (path, to) => promises.symlink(to, path)],
  ['fs.promises', (path) => fs.promises.readFile(path)],
  ['chmod', (path) => promises.chmod(path, 0o777)],
  ['utimes', (path) => promises.utimes(path, 1, 1)],
];

/** The folder as it was: nothing was read, so nothing can be told; but nothing was changed either. */
function untouched(): void {
  expect(fs.readdirSync(folder).toSorted()).toStrictEqual([WORD, 'other']);
  expect(fs.readFileSync(secret, 'utf8')).toBe('the secret');
  expect(fs.readFileSync(other, 'utf8')).toBe('nothing');
  expect(fs.statSync(secret).mode & 0o777).not.toBe(0o777);
}

describe('refuses before it happens, in the form of the API', () => {
  it.each(SYNC)('throws: %s', async (_name, act) => {
    const { probe, seen } = install(WORD);
    const during = async (): Promise<unknown> => act(secret, other);
    await expect(during()).rejects.toMatchObject(REFUSED);
    probe.uninstall();
    expect(seen).not.toHaveLength(0);
    untouched();
  });

  it.each(CALLBACK)('gives the callback or the error event: %s', async (_name, act) => {
    const { probe } = install(WORD);
    const error = await new Promise((resolve) => act(secret, other, resolve));
    expect(error).toMatchObject(REFUSED);
    probe.uninstall();
    untouched();
  });

  it.each(PROMISE)('rejects, and does not throw: %s', async (_name, act) => {
    const { probe } = install(WORD);
    const promise = act(secret, other);
    await expect(promise).rejects.toMatchObject(REFUSED);
    probe.uninstall();
    untouched();
  });

  it('calls no callback on the stack of the caller', () => {
    install(WORD);
    let called = false;
    fs.readFile(secret, () => {
      called = true;
    });
    expect(called).toBe(false);
  });

  it('names the path in no message', () => {
    install(WORD);
    expect(String(thrown(() => fs.readFileSync(secret)))).not.toContain(WORD);
  });
});

describe('links', () => {
  it('follows a symbolic link, and one to a folder', () => {
    fs.mkdirSync(join(folder, WORD + '-folder'));
    fs.writeFileSync(join(folder, WORD + '-folder', 'file'), 'x');
    fs.symlinkSync(secret, join(folder, 'link'));
    fs.symlinkSync(join(folder, WORD + '-folder'), join(folder, 'folder'));
    install(WORD);
    expect(thrown(() => fs.readFileSync(join(folder, 'link')))).toMatchObject(REFUSED);
    expect(thrown(() => fs.readFileSync(join(folder, 'folder', 'file')))).toMatchObject(REFUSED);
  });

  it('sees where a link leads that was made a moment ago, and one that was swapped', () => {
    install(WORD);
    const link = join(folder, 'link');
    fs.symlinkSync(other, link);
    expect(fs.readFileSync(link, 'utf8')).toBe('nothing');
    fs.unlinkSync(link);
    fs.symlinkSync('canary' + '-key', link);
    expect(thrown(() => fs.readFileSync(link))).toMatchObject(REFUSED);
  });

  it('sees a folder that was replaced by a link through the probe at once', () => {
    const hidden = join(folder, `${WORD}-folder`);
    const plain = join(folder, 'plain');
    fs.mkdirSync(hidden);
    fs.writeFileSync(join(hidden, 'file'), 'x');
    fs.mkdirSync(plain);
    fs.writeFileSync(join(plain, 'file'), 'plain');
    const link = join(folder, 'current');
    fs.symlinkSync(plain, link);
    const { probe } = install(WORD);
    expect(fs.readFileSync(join(link, 'file'), 'utf8')).toBe('plain');
    fs.rmSync(link);
    probe.uninstall();
    fs.symlinkSync(hidden, link);
    const again = install(WORD);
    expect(thrown(() => fs.readFileSync(join(link, 'file')))).toMatchObject(REFUSED);
    again.probe.uninstall();
  });

  it('reads link/.. as the kernel does: the parent of where the link leads', () => {
    fs.mkdirSync(join(folder, WORD + '-folder', 'below'), { recursive: true });
    fs.writeFileSync(join(folder, WORD + '-folder', 'file'), 'x');
    fs.symlinkSync(join(folder, WORD + '-folder', 'below'), join(folder, 'link'));
    install(WORD);
    expect(thrown(() => fs.readFileSync(`${folder}/link/../file`))).toMatchObject(REFUSED);
  });

  it('a link that leads nowhere yet is where the file would be made', () => {
    const target = join(folder, `${WORD}-new`);
    fs.symlinkSync(target, join(folder, 'link'));
    install(WORD);
    expect(thrown(() => fs.writeFileSync(join(folder, 'link'), 'x'))).toMatchObject(REFUSED);
    expect(fs.existsSync(target)).toBe(false);
  });

  it('survives links that lead in circles, and folders that are files', () => {
    fs.symlinkSync(join(folder, 'a'), join(folder, 'b'));
    fs.symlinkSync(join(folder, 'b'), join(folder, 'a'));
    install(WORD);
    expect(() => fs.readFileSync(join(folder, 'a'))).toThrow('ELOOP');
    expect(() => fs.readFileSync(join(other, 'below'))).toThrow('ENOTDIR');
  });

  it('sees relative paths from the working folder of now', () => {
    const before = process.cwd();
    onTestFinished(() => process.chdir(before));
    const { seen } = install(WORD);
    process.chdir(folder);
    expect(thrown(() => fs.readFileSync('canary' + '-key'))).toMatchObject(REFUSED);
    expect(seen[0]?.activity.action).toMatchObject({ kind: 'read', path: secret, resolved: secret });
  });
});

describe('what is judged is what is passed on', () => {
  it('a URL whose href changes after it was read', () => {
    const { seen } = install(WORD);
    let asked = 0;
    const url = {
      protocol: 'file:',
      get href() {
        return pathToFileURL(asked++ === 0 ? other : secret).href;
      },
      get pathname() {
        return secret;
      },
    };
    expect(fs.readFileSync(url as unknown as URL, 'utf8')).toBe('nothing');
    expect(asked).toBe(1);
    expect(seen).toHaveLength(0);
  });

  it('a real URL with a property of its own in the place of href', () => {
    install(WORD);
    let asked = 0;
    const url = pathToFileURL(other);
    Object.defineProperty(url, 'href', { get: () => pathToFileURL(asked++ === 0 ? other : secret).href });
    Object.defineProperty(url, 'pathname', { get: () => secret });
    expect(fs.readFileSync(url, 'utf8')).toBe('nothing');
  });

  it('a proxy is read once', () => {
    install(WORD);
    let asked = 0;
    const proxy = new Proxy(pathToFileURL(other), {
      get: (target, key) => (key === 'href' && asked++ > 0 ? pathToFileURL(secret).href : Reflect.get(target, key, target)),
    });
    expect(fs.readFileSync(proxy, 'utf8')).toBe('nothing');
  });

  it('a proxy of bytes is no path', () => {
    install(WORD);
    expect(thrown(() => fs.readFileSync(new Proxy(Buffer.from(secret), {})))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('bytes that are changed by a getter of the options', () => {
    install(WORD);
    const name = Buffer.from(join(folder, 'XXXXXXXXXX'));
    fs.writeFileSync(name, 'plain');
    const options = {
      get encoding() {
        name.write(WORD, name.length - WORD.length);
        return 'utf8' as const;
      },
    };
    expect(fs.readFileSync(name, options)).toBe('plain');
    fs.unlinkSync(join(folder, 'XXXXXXXXXX'));
  });

  it('a flag that is a getter', () => {
    const { seen } = install('other', { level: 'SAFE' });
    let asked = 0;
    const options = {
      get flag() {
        return asked++ === 0 ? 'r' : 'w';
      },
    };
    expect(fs.readFileSync(other, options).toString()).toBe('nothing');
    expect(seen.map(({ activity }) => activity.action.kind)).toStrictEqual(['read']);
    expect(fs.readFileSync(other, 'utf8')).toBe('nothing');
  });

  it('a file that reads is judged to write where its flag says so', () => {
    const { seen } = install('other', { level: 'SAFE' });
    expect(() => fs.readFileSync(other, { flag: 'w' })).toThrow('EBADF');
    expect(seen.map(({ activity }) => activity.action.kind)).toContain('write');
  });

  it('what gets an href only while options are read', () => {
    install(WORD);
    const path: Record<string, unknown> = {};
    const options = {
      get recursive() {
        Object.assign(path, { href: pathToFileURL(folder).href, protocol: 'file:' });
        return false;
      },
    };
    expect(thrown(() => fs.readdirSync(path as unknown as string, options))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  });

  it('judges what code in a getter of the options does meanwhile', () => {
    install(WORD);
    let error: unknown;
    const options = {
      get encoding() {
        try {
          fs.readFileSync(secret);
        } catch (thrown) {
          error = thrown;
        }
        return 'utf8' as const;
      },
    };
    expect(fs.readFileSync(other, options)).toBe('nothing');
    expect(error).toMatchObject(REFUSED);
  });

  it.each([
    ['null', null],
    ['undefined', undefined],
    ['a number that is no descriptor', -1],
    ['a string with a null byte', 'canary-key\0'],
    ['an object', { toString: () => secret }],
    ['an object without prototype', { __proto__: null }],
    ['a String object', new String('canary-key')],
    ['an http URL', new URL('http://example.com/canary-key')],
    ['a symbol', Symbol('canary-key')],
  ])('leaves to Node to reject: %s', (_name, path) => {
    const { seen } = install(WORD);
    expect(thrown(() => fs.readFileSync(path as string))).toMatchObject({
      message: expect.stringMatching(/Received|null bytes|scheme file|EBADF|Symbol|primitive|out of range/) as string,
    });
    expect(seen).toHaveLength(0);
  });

  it('goes on with descriptors and file handles, which were judged when they were opened', async () => {
    install(WORD);
    const fd = fs.openSync(other, 'r');
    expect(fs.readFileSync(fd, 'utf8')).toBe('nothing');
    fs.closeSync(fd);
    await using handle = await promises.open(other);
    expect(await promises.readFile(handle, 'utf8')).toBe('nothing');
  });

  it('a handle of somebody else making that is a URL as well', async () => {
    await using handle = await promises.open(other);
    install(WORD);
    const fake = Object.create(Object.getPrototypeOf(handle) as object, {
      href: { value: pathToFileURL(secret).href },
      protocol: { value: 'file:' },
    }) as typeof handle;
    await expect(promises.readFile(fake)).rejects.toMatchObject(REFUSED);
  });

  it('names that are no UTF-8 are passed on as they are', () => {
    const name = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0xfe, 0x41])]);
    install(WORD);
    fs.writeFileSync(name, 'odd');
    expect(fs.readFileSync(name, 'utf8')).toBe('odd');
    fs.unlinkSync(name);
  });

  it('judges each file that a copy of a folder would take', () => {
    install(WORD);
    expect(thrown(() => fs.cpSync(folder, `${folder}-copy`, { recursive: true }))).toMatchObject(REFUSED);
    onTestFinished(() => fs.rmSync(`${folder}-copy`, { recursive: true, force: true }));
    expect(fs.existsSync(join(`${folder}-copy`, WORD))).toBe(false);
  });

  it('tells a recursive removal as such', () => {
    const { seen } = install('below', { level: 'SAFE' });
    fs.mkdirSync(join(folder, 'below', 'deeper'), { recursive: true });
    fs.rmSync(join(folder, 'below'), { recursive: true });
    expect(seen.at(-1)?.activity.action).toMatchObject({ kind: 'delete', recursive: true });
  });
});

describe('verdicts', () => {
  it.each(['SAFE', 'FLAG'] as const)('%s runs on and is told once', (level) => {
    const { seen } = install(WORD, { level });
    expect(fs.readFileSync(secret, 'utf8')).toBe('the secret');
    expect(fs.readFileSync(secret).toString()).toBe('the secret');
    expect(seen.map(({ verdict, activity }) => [verdict.level, activity.phase, activity.action.kind])).toStrictEqual([
      [level, 'before', 'read'],
      [level, 'before', 'read'],
    ]);
  });

  it.each(['audit_only', 'flag_and_hold', 'enforce_kill'] as const)('%s: a KILL', (mode) => {
    install(WORD, { level: 'KILL', mode });
    if (mode === 'audit_only') expect(fs.readFileSync(secret, 'utf8')).toBe('the secret');
    else expect(thrown(() => fs.readFileSync(secret))).toMatchObject({ code: 'ACTIVITY_REFUSED' });
  });

  it('a judge that throws refuses', () => {
    install(WORD, {
      judge: ({ action }) => {
        if (JSON.stringify(action).includes(WORD)) throw new Error('broken');
        return verdictOf('SAFE');
      },
    });
    expect(thrown(() => fs.readFileSync(secret))).toMatchObject({ details: { rule: 'probe-judge-failed' } });
  });

  it('a listener that throws is counted, and changes nothing', () => {
    const { probe } = install(WORD, {
      emit: () => {
        throw new Error('broken');
      },
    });
    expect(fs.readFileSync(other, 'utf8')).toBe('nothing');
    expect(thrown(() => fs.readFileSync(secret))).toMatchObject(REFUSED);
    expect(probe.stats().lost).toBe(probe.stats().seen);
    expect(probe.stats().lost).toBeGreaterThan(0);
  });

  it('a judge and a listener that read files are not judged', () => {
    let depth = 0;
    install(WORD, {
      judge: () => {
        depth++;
        fs.readFileSync(secret);
        return verdictOf('SAFE');
      },
      emit: () => void fs.readFileSync(secret),
    });
    fs.readFileSync(other);
    expect(depth).toBe(1);
  });
});

describe('installing', () => {
  it('puts everything back', async () => {
    const before = [fs, promises, process].map((owner) => Object.getOwnPropertyDescriptors(owner));
    const { probe } = install(WORD);
    expect(probe.patched).toBeGreaterThan(60);
    expect(probe.missed).toStrictEqual([]);
    probe.uninstall();
    [fs, promises, process].forEach((owner, at) => {
      const now = Object.getOwnPropertyDescriptors(owner) as Record<string, PropertyDescriptor>;
      for (const [name, descriptor] of Object.entries(before[at] as Record<string, PropertyDescriptor>)) {
        if (typeof descriptor.value === 'function') expect(now[name]?.value, name).toBe(descriptor.value);
      }
    });
    expect((await import('node:fs')).readFileSync).toBe(fs.readFileSync);
    expect(fs.readFileSync(secret, 'utf8')).toBe('the secret');
    probe.uninstall();
  });

  it('twice: both judge, and one that is taken off leaves the other', () => {
    const first = install(WORD);
    const second = install('other');
    expect(thrown(() => fs.readFileSync(other))).toMatchObject(REFUSED);
    first.probe.uninstall();
    expect(fs.readFileSync(secret, 'utf8')).toBe('the secret');
    expect(thrown(() => fs.readFileSync(other))).toMatchObject(REFUSED);
    second.probe.uninstall();
    expect(fs.readFileSync(other, 'utf8')).toBe('nothing');
  });

  it('leaves what others wrapped meanwhile, and is silent in it', () => {
    const { probe, seen } = install(WORD);
    const ours = fs.readFileSync;
    const theirs = ((...args: Parameters<typeof ours>) => ours(...args)) as typeof ours;
    fs.readFileSync = theirs;
    probe.uninstall();
    expect(fs.readFileSync).toBe(theirs);
    expect(fs.readFileSync(secret).toString()).toBe('the secret');
    expect(seen).toHaveLength(0);
  });

  it('keeps names, lengths and what hangs on a function', () => {
    const before = fs.readFile;
    install(WORD);
    expect(fs.readFile).not.toBe(before);
    expect([fs.readFile.name, fs.readFile.length]).toStrictEqual([before.name, before.length]);
    expect(fs.realpathSync.native).toBeTypeOf('function');
  });

  it.each(['', 'enforce', null, 'constructor'])('refuses the mode %j', (mode) => {
    expect(thrown(() => install(WORD, { mode: mode as never }))).toMatchObject({ code: 'OPTIONS_INVALID' });
  });
});
