/** Lines of the proxy's own log: what servers and clients put into them shows no secret. */
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { logTo } from '../src/log.ts';

const TOKEN = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`;

it.each([
  [`server t refused logging/setLevel: no ${TOKEN}`, 'server t refused logging/setLevel: no [redacted:github-token]'],
  [`tool t/t_${TOKEN} cannot be compared with what it was`, 'tool t/t_[redacted:github-token] cannot be compared with what it was'],
  ['server t is down: http://ada:Tr0ub4dor-Zx9@h/ ended', 'server t is down: http://ada:[redacted:url-password]@h/ ended'],
  ['guarding t as bot, mode enforce, ledger /srv/l.db', 'guarding t as bot, mode enforce, ledger /srv/l.db'],
])('%s', (line, shown) => {
  const stderr = new PassThrough();
  logTo(stderr)(line);
  expect(String(stderr.read())).toBe(`countersign: ${shown}\n`);
});
