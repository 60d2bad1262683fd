/** docs/guides/redaction.md: its program, and that its table names the kinds there are. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/index.ts';
import { DETECTORS, REDACTION_KINDS } from '../../src/redact/rules.ts';

const guide = readFileSync(new URL('../../../../docs/guides/redaction.md', import.meta.url), 'utf8');
const rows = [...guide.slice(guide.indexOf('\n## Kinds')).matchAll(/^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$/gm)];

describe('the guide to redaction', () => {
  it('has a program that does what it says', () => {
    const redactor = createRedactor({ keys: ['taxNumber'], values: ['correct horse battery'] });
    const { shown, findings } = redactor.redact({ to: 'ann', password: 'hunter2', note: 'db is postgres://app:hunter2@db/main' });
    expect(shown).toEqual({ to: 'ann', password: '[redacted:key-name]', note: 'db is postgres://app:[redacted:url-password]@db/main' });
    expect(findings).toEqual([
      { kind: 'key-name', pointer: '/password' },
      { kind: 'url-password', pointer: '/note' },
    ]);
  });

  it('lists every kind, once, in the order of the code', () => {
    expect(rows.map(([, kind]) => kind)).toEqual(REDACTION_KINDS);
  });

  it('names only prefixes that the kind looks for', () => {
    for (const [, kind = '', , by = ''] of rows) {
      const triggers = DETECTORS.filter((detector) => detector.kind === kind).flatMap((detector) => detector.triggers);
      for (const [, prefix = ''] of by.matchAll(/`([^`]+)`/g)) {
        if (triggers.length > 0 && kind !== 'jwt')
          expect(
            triggers.map((trigger) => trigger.trim()).some((trigger) => trigger.startsWith(prefix) || prefix.startsWith(trigger)),
            `${kind} ${prefix}`,
          ).toBe(true);
      }
    }
  });
});
