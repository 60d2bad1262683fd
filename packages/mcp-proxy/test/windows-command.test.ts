/** What is started on Windows. Nothing here ran there: `cmd.exe` and how programs read their arguments are modelled below. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { windowsCommand } from '../src/windows-command.ts';

const NPX = 'C:\\Program Files\\nodejs\\npx.CMD';
const ENV = {
  Path: '"C:\\Windows";C:\\Program Files\\nodejs;.;relative',
  PATHEXT: '.COM;.EXE;.BAT;.CMD',
  ComSpec: 'C:\\Windows\\System32\\cmd.exe',
};
const files =
  (...paths: readonly string[]): ((path: string) => boolean) =>
  (path) =>
    paths.some((each) => each.toLowerCase() === path.toLowerCase());
const launched = (
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = ENV,
  isFile = files(NPX),
): ReturnType<typeof windowsCommand> => windowsCommand(command, args, env, isFile);

/** One reading of a line by `cmd.exe`: carets escape outside of quotes. Throws when something in it would be a command of its own. */
function read(line: string): string {
  let isQuoted = false;
  let result = '';
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (char === '^' && !isQuoted) {
      at += 1;
      result += line.charAt(at);
    } else {
      if (char === '"') isQuoted = !isQuoted;
      else if (!isQuoted && '&|<>()\n'.includes(char)) throw new Error(`${char} means something to cmd.exe`);
      result += char;
    }
  }
  return result;
}

/** As a program's C library takes its command line apart. */
function argvOf(line: string): readonly string[] {
  const args: string[] = [];
  let at = 0;
  while (at < line.length) {
    while (line.charAt(at) === ' ') at += 1;
    if (at >= line.length) break;
    let arg = '';
    for (let isQuoted = false; at < line.length && (isQuoted || line.charAt(at) !== ' '); ) {
      const slashes = /^\\*/.exec(line.slice(at))?.[0].length ?? 0;
      at += slashes;
      if (line.charAt(at) !== '"') {
        arg += '\\'.repeat(slashes) + (slashes === 0 ? line.charAt(at++) : '');
        continue;
      }
      arg += '\\'.repeat(Math.floor(slashes / 2));
      if (slashes % 2 === 1) arg += '"';
      else isQuoted = !isQuoted;
      at += 1;
    }
    args.push(arg);
  }
  return args;
}

/** What the program behind a script such as `npx.cmd` gets. */
function received(args: readonly string[]): readonly string[] {
  const { args: given } = launched('npx', args);
  expect(given.slice(0, 3)).toEqual(['/d', '/s', '/c']);
  const line = String(given[3]);
  expect([line.charAt(0), line.at(-1)]).toEqual(['"', '"']);
  const first = read(line.slice(1, -1));
  expect(first.startsWith(`"${NPX}"`)).toBe(true);
  // The script hands on `%*` as it is written, and that is read again.
  return argvOf(read(first.slice(NPX.length + 2)));
}

describe('a script of Windows', () => {
  it('is started by cmd.exe, under its whole path', () => {
    expect(launched('npx', ['-y', 'a & b'])).toEqual({
      command: 'C:\\Windows\\System32\\cmd.exe',
      args: ['/d', '/s', '/c', `""${NPX}" ^^^"-y^^^" ^^^"a^^^ ^^^&^^^ b^^^""`],
      windowsVerbatimArguments: true,
    });
  });

  it.each([
    'plain',
    '',
    'two words',
    'a"b',
    'a\\"b&calc',
    '"&calc&"',
    'C:\\folder\\',
    'ends in "quote"',
    '\\\\"',
    '%PATH%',
    '^&^|<>()!',
    '{"json": ["a", "b & c"]}',
    '`~#$;,=',
    '日本語',
  ])('gets %j as it was said, and nothing of it is run', (arg) => {
    expect(received(['first', arg, 'last'])).toEqual(['first', arg, 'last']);
  });

  it('gets whatever it is given as it was said', () => {
    const hostile = fc.string({ unit: fc.constantFrom(...'"\\^&|<>()%! ;,=*?ab') });
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 4 }), (args) => {
        expect(received(args)).toEqual(args);
      }),
    );
  });

  it('leaves no name of a variable whole, for cmd.exe to put its value there', () => {
    expect(String(launched('npx', ['%PATH%']).args[3])).not.toMatch(/%[A-Za-z]+%/);
  });

  it.each(['a\nb', 'a\r\nb', 'a\0b'])('is not started with %j', (arg) => {
    expect(() => launched('npx', [arg])).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it.each(['C:\\100%\\run.cmd', 'C:\\a"b\\run.cmd'])('is not started under the path %j', (path) => {
    expect(() => launched(path, [], ENV, files(path))).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });
});

describe('what is found', () => {
  const C = 'C:\\Windows\\tool';
  it.each<[string, string, readonly string[], string | undefined]>([
    ['a program is started as it is', 'tool', [`${C}.exe`], undefined],
    ['the first of its kinds counts', 'tool', [`${C}.exe`, `${C}.cmd`], undefined],
    ['the first folder counts', 'npx', ['C:\\Windows\\npx.bat', NPX], 'C:\\Windows\\npx.BAT'],
    ['a script that is named with its ending', 'npx.cmd', [NPX], 'C:\\Program Files\\nodejs\\npx.cmd'],
    ['a path', 'C:\\x\\run', ['C:\\x\\run.cmd'], 'C:\\x\\run.CMD'],
    ['a path with other slashes', 'C:/x/run.cmd', ['C:\\x\\run.cmd'], 'C:\\x\\run.cmd'],
    ['what does not exist is left as it is', 'nothing', [NPX], undefined],
    ['a program by its ending', 'npx.exe', [NPX, 'C:\\Windows\\npx.exe.cmd'], undefined],
    [
      'nothing of the current folder, nor of a folder that depends on it',
      'evil',
      ['evil.cmd', '.\\evil.cmd', 'relative\\evil.cmd'],
      undefined,
    ],
  ])('%s', (_what, command, there, script) => {
    const found = launched(command, ['x'], ENV, files(...there));
    if (script === undefined) expect(found).toEqual({ command, args: ['x'] });
    else expect(String(found.args[3])).toContain(`"${script}"`);
  });

  it.each([
    ['PATH', 'COMSPEC', 'pathext'],
    ['path', 'comspec', 'PathExt'],
  ])('names of variables in any case: %s', (path, comspec, pathext) => {
    const env = { [path]: 'C:\\Program Files\\nodejs', [comspec]: 'D:\\cmd.exe', [pathext]: '.CMD' };
    expect(launched('npx', [], env)).toMatchObject({ command: 'D:\\cmd.exe' });
  });

  it('without variables of its own Windows still has its endings', () => {
    expect(launched('npx', [], { Path: 'C:\\Program Files\\nodejs' })).toMatchObject({
      command: 'cmd.exe',
      windowsVerbatimArguments: true,
    });
    expect(launched('npx', [], {})).toEqual({ command: 'npx', args: [] });
  });
});
