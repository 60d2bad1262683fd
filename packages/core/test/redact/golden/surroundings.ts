/** Where credentials stand: files, commands, logs and sentences as people write them. */
import type { Random } from './random.ts';
import type { Vendor } from './vendors.ts';

export interface Place {
  readonly name: string;
  readonly vendor: string;
  readonly value: string;
  readonly random: Random;
}

type Surrounding = (place: Place) => string;

/** The value stands behind its name. */
const NAMED: Readonly<Record<string, Surrounding>> = {
  env: ({ name, value, random }) => `NODE_ENV=production\n${name}=${value}\nPORT=${random.between(1000, 9999)}\n`,
  export: ({ name, value }) => `#!/bin/sh\nexport ${name}="${value}"\nexec node server.js\n`,
  json: ({ name, value, random }) => JSON.stringify({ region: random.word(), [name]: value, retries: 3 }, null, 2),
  yaml: ({ name, value, random }) => `service: ${random.word()}\n${name}: ${value}\nreplicas: 2\n`,
  'yaml, quoted': ({ name, value }) => `env:\n  ${name}: '${value}'\n  LOG_LEVEL: debug\n`,
  dockerfile: ({ name, value }) => `FROM node:24\nENV ${name}=${value}\nCMD ["node", "."]\n`,
  toml: ({ name, value }) => `[service]\n${name} = "${value}"\n`,
  python: ({ name, value }) => `import os\nos.environ["${name}"] = "${value}"\n`,
  'json in a log': ({ name, value, random }) => `2026-11-25T10:0${random.below(10)}:11Z info request {"user":"${random.word()}","${name}":"${value}"}\n`,
  'escaped json': ({ name, value }) => JSON.stringify(JSON.stringify({ [name]: value })),
  diff: ({ name, value }) => `@@ -3,6 +3,7 @@\n PORT=80\n+${name}=${value}\n-${name}=\n`,
  hcl: ({ name, value }) => `variable "x" {}\nlocals {\n  ${name} = "${value}"\n}\n`,
};

/** More of the same, as other systems write it. */
const MORE_NAMED: Readonly<Record<string, Surrounding>> = {
  compose: ({ name, value }) => `services:\n  app:\n    environment:\n      - ${name}=${value}\n      - TZ=UTC\n`,
  windows: ({ name, value }) => `set ${name}=${value}\r\nnode server.js\r\n`,
  powershell: ({ name, value }) => `$env:${name} = "${value}"\n`,
  'object, printed': ({ name, value, random }) => `{\n  host: '${random.word()}',\n  ${name}: '${value}',\n  port: 80\n}`,
  grep: ({ name, value, random }) => `src/${random.word()}.ts:${random.below(200)}:  ${name}: "${value}",`,
  'python, keyword': ({ name, value }) => `connect(host=HOST, ${name}="${value}")\n`,
};

/** The vendor is named near. */
const VENDOR: Readonly<Record<string, Surrounding>> = {
  sentence: ({ vendor, value, random }) => `${random.words(6)}. The ${vendor} key is ${value}, please rotate it.`,
  markdown: ({ vendor, value }) => `## ${vendor}\n\nUse \`${value}\` for the **staging** account.\n`,
  typescript: ({ vendor, value }) => `const ${vendor} = new Client({ apiKey: '${value}', timeout: 5000 });\n`,
  go: ({ vendor, value }) => `// ${vendor}\nclient := NewClient("${value}")\n`,
  cli: ({ vendor, value }) => `$ ${vendor} login --token ${value} --yes\n`,
};

/** Nothing else gives the value away. */
const BARE: Readonly<Record<string, Surrounding>> = {
  'log line': ({ value, random }) => `${random.between(1, 31)} Nov 10:11:12 gate[${random.between(100, 999)}]: rejected ${value} from 10.0.0.7 (401)`,
  curl: ({ value }) => `curl -sS -H "Authorization: Bearer ${value}" https://api.example/v1/items`,
  header: ({ value }) => `GET /v1 HTTP/1.1\r\nHost: api.example\r\nX-Api-Key: ${value}\r\n\r\n`,
  'call, python': ({ value, random }) => `client = Client(${random.word()}, token="${value}")\nclient.run()\n`,
  'call, shell': ({ value }) => `printf '%s' ${value} | docker login --password-stdin\n`,
  csv: ({ value, random }) => `id,owner,value\n7,${random.word()},${value}\n8,${random.word()},none\n`,
  sql: ({ value, random }) => `INSERT INTO tokens VALUES (${random.below(100)}, '${value}', now());`,
  xml: ({ value }) => `<settings><server><password>${value}</password></server></settings>`,
  comment: ({ value, random }) => `// TODO ${random.words(3)}: ${value}\nreturn null;\n`,
  list: ({ value, random }) => `["${random.word()}","${value}","${random.word()}"]`,
  chat: ({ value, random }) => `<@${random.word()}> ${random.words(4)} ${value} ${random.words(2)}?`,
  'end of text': ({ value, random }) => `${random.words(8)}: ${value}`,
  colour: ({ value, random }) => `\u001b[1m${random.word()}\u001b[0m \u001b[32m${value}\u001b[39m ok`,
  'path of a file': ({ value, random }) => `/var/lib/${random.word()}/keys/${value}.txt`,
  prompt: ({ value, random }) => `${random.word()}? (current: ${value}): `,
  netrc: ({ value, random }) => `machine ${random.word()}.example login x password ${value}\n`,
  attribute: ({ value, random }) => `<add key="${random.word()}" value="${value}" />`,
  'template string': ({ value, random }) => `fetch(\`https://\${host}/${random.word()}\`, { auth: \`${value}\` })`,
  bytes: ({ value }) => `key = b'${value}'\n`,
  link: ({ value, random }) => `see [${random.word()}](https://wiki.example/${random.word()}#${value}).`,
  entities: ({ value }) => `data-value=&quot;${value}&quot;`,
  'end of a sentence': ({ value, random }) => `${random.words(5)} is ${value}. ${random.words(3)}!`,
  'behind a word': ({ value, random }) => `${random.word()}_${value}\n`,
  'in brackets': ({ value }) => `(${value}) [${value}] <${value}> {${value}}`,
};

/** In an address: only for what can stand there as it is. */
const ADDRESS: Readonly<Record<string, Surrounding>> = {
  query: ({ value, random }) => `https://api.example/v1/${random.word()}?page=2&access_token=${value}&sort=asc`,
  path: ({ value }) => `GET https://hooks.example/in/${value}/items 200`,
  user: ({ value }) => `git clone https://oauth2:${value}@git.example/team/app.git`,
};

/** As a part of an encoded address, where what has a meaning there is written with percent signs. */
export const ENCODED: readonly [string, Surrounding] = [
  'encoded address',
  ({ value, random }) => `https://app.example/${random.word()}?next=${encodeURIComponent(`https://api.example/?k=`)}${value}&x=1`,
];

export function surroundingsOf(vendor: Vendor, value: string): readonly (readonly [string, Surrounding])[] {
  const named = [...Object.entries(NAMED), ...Object.entries(MORE_NAMED)];
  if (vendor.needs === 'name') return named;
  if (vendor.needs === 'vendor') return [...named, ...Object.entries(VENDOR)];
  const address = /^[A-Za-z0-9._~-]+$/.test(value) ? Object.entries(ADDRESS) : [];
  return [...named, ...Object.entries(VENDOR), ...Object.entries(BARE), ...address];
}
