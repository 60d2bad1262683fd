/** Ordinary text of seven kinds, made from a seed, and texts written to keep a redactor busy. */
import { hash } from 'node:crypto';

export const MEGABYTE = 1_000_000;

/** One million characters of each kind; nothing in them is a secret. */
export function cleanTexts(): ReadonlyMap<string, string> {
  return new Map([
    ['prose', fill(prose)],
    ['code', fill(code)],
    ['JSON', fill(json)],
    ['base64', fill(base64)],
    ['minified code', fill(minified)],
    ['log lines', fill(log)],
    ['Chinese text', fill(chinese)],
  ]);
}

/** A secret every few hundred characters. */
export function dirtyText(): string {
  const next = numbers(7);
  return fill((random) => `${prose(random)}token ghp_${letters(next, 36)} and postgres://app:${letters(next, 12)}@db.example/main\n`);
}

/** Repeated to any length they are the worst that is known for one detector or another. */
export const HOSTILE_PIECES: readonly string[] = [
  '=',
  'a=',
  ';token=',
  '&token={',
  '://',
  '://a:',
  'eyJ',
  'eyJ.',
  'eyJhbGciOiJub25l.a.',
  '-----BEGIN ',
  '-----BEGIN PRIVATE KEY-----',
  'sk-',
  'Bearer ',
  'Cookie: a=b',
  '"',
  '\\"',
  '{"password":',
  '"password":"',
  'password: ',
  '--password ',
  '[redacted:jwt]',
  '[redacted:',
  'ZXlK',
  '%41',
  '\\u0041',
  'SharedAccessKey=',
];

type Random = () => number;

function fill(piece: (random: Random) => string): string {
  const random = numbers(1);
  const pieces: string[] = [];
  for (let length = 0; length < MEGABYTE; ) {
    const next = piece(random);
    pieces.push(next);
    length += next.length;
  }
  return pieces.join('').slice(0, MEGABYTE);
}

/** Deterministic numbers from 0 to 1 (a linear congruence: the texts need variety, not chance). */
function numbers(seed: number): Random {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 0x1_00_00_00;
  };
}

const WORDS = `the of and to in is that it was for on are as with his they at be this from have or by one had not but what all were when we
  there can an your which their said if do will each about how up out them then she many some so these would other into has more
  her two like him see time could no make than first been its who now people my made over did down only way find use may water
  long little very after called just where most know report invoice customer address delivery question answer key pass code open
  table color token author secretary basic cookie header session`.split(/\s+/);

function pick<T>(random: Random, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)] as T;
}

function times(count: number, make: () => string, between: string): string {
  return Array.from({ length: count }, make).join(between);
}

function letters(random: Random, count: number): string {
  return times(count, () => pick(random, [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789']), '');
}

function prose(random: Random): string {
  const sentence = times(6 + Math.floor(random() * 12), () => pick(random, WORDS), ' ');
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}${pick(random, ['. ', ', ', '.\n', '; ', ': '])}`;
}

function code(random: Random): string {
  const name = (): string => `${pick(random, WORDS)}${pick(random, ['', 'Key', 'Name', 'Count', 'Token', 'Id'])}`;
  return pick(random, [
    () => `const ${name()} = ${name()}.${name()}(${name()}, { ${name()}: ${name()}, ${name()} });\n`,
    () => `  if (${name()} === undefined || ${name()} >= ${Math.floor(random() * 100)}) return ${name()};\n`,
    () => `/** ${prose(random).trim()} */\nexport function ${name()}(${name()}: string, ${name()}?: number): ${name()} {\n`,
    () => `    ${name()}: '${name()}',\n    ${name()}: [${name()}, "${name()}"],\n`,
    () => `import { ${name()} } from './${name()}/${name()}.ts';\n`,
    () => `    return \`\${${name()}} ${name()} \${${name()}}\`;\n  }\n`,
  ])();
}

function json(random: Random): string {
  return `${JSON.stringify({
    id: Math.floor(random() * 1e9),
    name: times(2, () => pick(random, WORDS), ' '),
    tags: [pick(random, WORDS), pick(random, WORDS)],
    price: Math.floor(random() * 10_000) / 100,
    created_at: new Date(1_700_000_000_000 + Math.floor(random() * 1e10)).toISOString(),
    sort_key: pick(random, WORDS),
    digest: hash('sha256', String(random())),
    open: random() < 0.5,
  })},\n`;
}

function base64(random: Random): string {
  return Buffer.from(
    times(8, () => hash('sha512', String(random()), 'hex'), ''),
    'hex',
  )
    .toString('base64')
    .replaceAll('=', '');
}

function minified(random: Random): string {
  const name = (): string => pick(random, [...'abcdefghijklmnopqrstuvwxyz']) + pick(random, ['', '', 'e', 't', 'n']);
  return pick(random, [
    () => `var ${name()}=${name()}.${name()},${name()}=function(${name()},${name()}){return ${name()}.${pick(random, WORDS)}(${name()})};`,
    () =>
      `if(${name()}&&${name()}.${pick(random, WORDS)}!=${name()}){${name()}=!0;${name()}.key=${name()};${name()}.token=${name()}.next()}`,
    () => `${name()}={type:"${pick(random, WORDS)}",${name()}:${name()},key:"${pick(random, WORDS)}"};`,
  ])();
}

function log(random: Random): string {
  const at = new Date(1_700_000_000_000 + Math.floor(random() * 1e10)).toISOString();
  return `${at} INFO [${pick(random, WORDS)}] request_id=${hash('sha1', String(random()))} path=/v1/${pick(random, WORDS)}?page=${Math.floor(random() * 99)}&sort=${pick(random, WORDS)} status=200 duration_ms=${Math.floor(random() * 900)}\n`;
}

function chinese(random: Random): string {
  return `${times(20, () => String.fromCharCode(0x4e_00 + Math.floor(random() * 0x51_a5)), '')}${pick(random, ['，', '。', '。\n', ' API '])}`;
}
