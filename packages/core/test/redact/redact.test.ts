import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/call.ts';
import { CountersignError } from '../../src/errors.ts';
import { captureArguments } from '../../src/redact/arguments.ts';
import { createRedactor, MAX_FINDINGS } from '../../src/redact/redact.ts';
import { DETECTORS, REDACTION_KINDS } from '../../src/redact/rules.ts';
import { anySecret, characters, ORDINARY, secretsOf } from './corpora.ts';

const redactor = createRedactor();
const shownOf = (value: unknown): Json => redactor.redact(captureArguments(value).value).shown;

describe('secrets in text', () => {
  const secrets = secretsOf('table');

  it.each(secrets.map((secret, i) => [`${i} ${secret.kind}`, secret] as const))('replaces %s', (_name, { kind, secret, text }) => {
    const { shown, findings } = redactor.redact({ note: `before ${text} after` });
    expect(JSON.stringify(shown)).not.toContain(secret);
    expect(JSON.stringify(shown)).toContain(`[redacted:${kind}]`);
    expect(findings).toContainEqual({ kind, pointer: '/note' });
  });

  it.each<[string, string]>([
    ['postgres://app:hunter22@db.example/main', 'postgres://app:[redacted:url-password]@db.example/main'],
    ['GET https://a.example/?q=x&token=abc&r=y', 'GET https://a.example/?q=x&token=[redacted:parameter]&r=y'],
    ['curl -H "Authorization: Bearer abcDEF123456" x', 'curl -H "Authorization: Bearer [redacted:authorization]" x'],
    ['https://hooks.slack.com/services/T0/B0/abcdefghijklmnop', 'https://hooks.slack.com/services/[redacted:webhook-url]'],
    ['amqp://app:p@ss1234@mq.example', 'amqp://app:[redacted:url-password]@mq.example'],
    ['redis://:s3cretpw@cache:6379', 'redis://:[redacted:url-password]@cache:6379'],
    ['https://a.example/cb#access_token=abc&state=1', 'https://a.example/cb#access_token=[redacted:parameter]&state=1'],
  ])('keeps what stands around: %s', (text, expected) => {
    expect(redactor.text(text)).toBe(expected);
  });

  it('finds every generated secret anywhere', () => {
    const around = fc.constantFrom('', ' ', '\n', '"', '\\n', '(', 'x: ', '日', '…', '<', "'", ', ', '\t');
    // Not a letter: behind it, 40 characters of base64 are 41, and an AWS key is none.
    const behind = fc.constantFrom('', ' ', '\n', '"', '\\n', ')', ': x', '日', '…', '>', "'", ', ', '\t', '.');
    fc.assert(
      fc.property(anySecret, anySecret, around, behind, (a, b, before, after) => {
        const text = `${before}${a.text}${after}\n${b.text}`;
        const shown = JSON.stringify(shownOf({ deep: [{ text }] }));
        expect(shown).not.toContain(a.secret);
        expect(shown).not.toContain(b.secret);
      }),
      { numRuns: 1000 },
    );
  });

  it('finds them in member names, URLs and lists too', () => {
    fc.assert(
      fc.property(anySecret, ({ secret, text }) => {
        const shown = JSON.stringify(shownOf({ [text]: { [`${text} 2`]: 1 }, list: [[text]], more: `${text} ${text}` }));
        expect(shown).not.toContain(secret);
      }),
    );
  });

  it('keeps secrets apart that stand in, on or behind one another', () => {
    const first = (kind: string): string => secrets.find((secret) => secret.kind === kind)?.secret ?? '';
    const [github, key] = [first('github-token'), first('api-key')];
    expect(redactor.text(`?token=abc.${github}!tail&a=1`)).toBe('?token=[redacted:parameter]&a=1');
    expect(redactor.text(`https://${github}:x-oauth-basic@github.example`)).toBe(
      'https://[redacted:github-token]:[redacted:url-password]@github.example',
    );
    expect(redactor.text(`Cookie: a=1; b=${github}; last=2\n.`)).toBe('Cookie: [redacted:cookie]\n.');
    // Only when the first is replaced does the second stand at the start of a word.
    expect(redactor.text(`SG.${'aB3'.repeat(7)}.${'xY4z'.repeat(16)}${key}`)).toBe('[redacted:sendgrid-key][redacted:api-key]');
  });

  it('is not fooled by a dull run in front of the secret', () => {
    const key = `sk-${characters('abcdefghijKLMNOP0123456789', 48, 'dull')}`;
    expect(redactor.text(`sk-${'a'.repeat(1000)}-${key}`)).not.toContain(key.slice(3));
    expect(redactor.text(`AKIAAKIAAKIA_AKIA${'Z9Y8X7W6V5U4T3S2'}`)).not.toContain('Z9Y8X7W6V5U4T3S2');
    expect(redactor.text('?token=[redacted:jwt]hunter22')).toBe('?token=[redacted:parameter]');
  });
});

describe('ordinary text', () => {
  it.each(ORDINARY)('survives: %s', (text) => {
    const { shown, findings } = redactor.redact({ text, list: [text] });
    expect(shown).toEqual({ text, list: [text] });
    expect(findings).toEqual([]);
  });

  it.each([
    ["passwords: ['Hunter2!x99', 'y8]$kQ22aa']", 'passwords: [redacted:key-name]'],
    ['password = [ "Hunter2!x99" ]\nnext: 1', 'password = [redacted:key-name]\nnext: 1'],
    ["  - password: ['Hunter2!x99', 'cut o", '  - password: [redacted:key-name]'],
    ["credentials: ['token', 'login'],", "credentials: ['token', 'login'],"],
    ["credentials: [],\npins: ['Hunter2!x99']", "credentials: [],\npins: ['Hunter2!x99']"],
  ])('a list in quotes under a secret name goes as a whole, when one of its items looks chosen: %s', (given, shown) => {
    expect(redactor.text(given)).toBe(shown);
    expect(redactor.text(shown)).toBe(shown);
  });

  it('survives when it is our own source', () => {
    const folder = new URL('../../src/', import.meta.url);
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.startsWith('redact')) continue;
      const source = readFileSync(new URL(name, folder), 'utf8');
      expect(redactor.text(source), name).toBe(source);
    }
  });

  it('survives when it is random words', () => {
    const word = fc.string({ unit: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz'), minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), (words) => {
        const text = words.join(' ');
        expect(redactor.text(text)).toBe(text);
      }),
    );
  });
});

describe('the shown view', () => {
  it.each<[unknown, Json]>([
    [new Uint8Array(12), '[bytes:12]'],
    [Buffer.from('abc'), '[bytes:3]'],
    [new ArrayBuffer(5), '[bytes:5]'],
    [new Date('2026-11-22T06:00:00Z'), '[date 2026-11-22T06:00:00.000Z]'],
    [new Map([[1, 2]]), '[map:1]'],
    [new Set([1, 2, 3]), '[set:3]'],
    [/secret/, '[regexp]'],
    [new URL('https://u:hunter22@a.example/x?token=abc'), '[url https://u:[redacted:url-password]@a.example/x?token=[redacted:parameter]]'],
    [undefined, null],
    [
      [undefined, null],
      [null, null],
    ],
    [{ a: [1, 'x', true, null] }, { a: [1, 'x', true, null] }],
  ])('of %j is %j', (value, expected) => {
    expect(shownOf(value)).toEqual(expected);
  });

  it.each([Object.prototype, null])('goes by the prototype %j, but looks into no bytes', (prototype) => {
    const as = (value: object): unknown => Object.setPrototypeOf(value, prototype);
    const { shown } = redactor.redact({ map: as(new Map([[1, 2]])), date: as(new Date(0)), bytes: as(new Uint8Array(12)) });
    expect(shown).toEqual({ map: {}, date: {}, bytes: '[bytes:12]' });
  });

  it('shares nothing with the value', () => {
    const value = { a: { b: [1] } };
    const { shown } = redactor.redact(value);
    expect(shown).toEqual(value);
    value.a.b.push(2);
    expect(shown).toEqual({ a: { b: [1] } });
  });

  it('keeps names apart when secrets in them are replaced', () => {
    const [one, two] = [secretsOf('1'), secretsOf('2')].map((list) => list.find(({ kind }) => kind === 'github-token')?.secret ?? '');
    const { shown, findings } = redactor.redact({
      [`${one}`]: 1,
      '[redacted:github-token]': 2,
      [`${two}`]: 3,
      '[redacted:github-token]#2': 4,
    });
    expect(shown).toEqual({
      '[redacted:github-token]#3': 1,
      '[redacted:github-token]': 2,
      '[redacted:github-token]#4': 3,
      '[redacted:github-token]#2': 4,
    });
    expect(findings).toEqual([{ kind: 'github-token', pointer: '' }]);
  });

  it('does not take the word token in a placeholder for a name', () => {
    const secret = secretsOf('1').find(({ kind }) => kind === 'github-token')?.secret ?? '';
    expect(redactor.redact({ [secret]: 'plain' }).shown).toEqual({ '[redacted:github-token]': 'plain' });
  });

  it('points to members as they are shown', () => {
    const secret = secretsOf('1').find(({ kind }) => kind === 'jwt')?.secret ?? '';
    const { findings } = redactor.redact({ [secret]: [{ 'a/b': { password: 'hunter22' } }] });
    expect(findings).toEqual([
      { kind: 'jwt', pointer: '' },
      { kind: 'key-name', pointer: '/[redacted:jwt]/0/a~1b/password' },
    ]);
  });

  it('takes prototype names as ordinary ones', () => {
    const value: unknown = JSON.parse('{"constructor":"a","toString":"b","__proto__":"c"}');
    expect(JSON.stringify(redactor.redact(value).shown)).toBe('{"constructor":"a","toString":"b","__proto__":"c"}');
  });

  it('bounds the findings but names every kind', () => {
    const list: unknown[] = Array.from({ length: MAX_FINDINGS + 500 }, () => ({ password: 'hunter22' }));
    list.push('postgres://app:hunter22@db.example/main');
    const { findings } = redactor.redact(list);
    expect(findings.length).toBe(MAX_FINDINGS + 1);
    expect(findings.at(-1)?.kind).toBe('url-password');
  });
});

describe('what a redactor remembers of names', () => {
  const secret = 'sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789';
  const ordinary = {
    path: 'a',
    limit: 3,
    ccnum: 'no',
    name: 'no',
    value: 'no',
    pass: 3,
    pwd: '/home/x',
    card: { last4: '1' },
    auth: 'none',
  };
  const telling: readonly unknown[] = [
    { pass: 'hunter22', pwd: 'hunter22', card: '4111 1111 1111 1111', auth: 'dXNlcjpwYXNzd29yZA==', password: 'hunter22' },
    { path: secret, limit: secret, name: secret },
    [{ name: 'X-Api-Key', value: 'hunter22' }],
    { ccnum: '4111 1111 1111 1111', customer: [{ ccnum: 4111111111111111 }] },
    { [secret]: 1, path: { password: 'hunter22' } },
    { kundennummer: 'K-1234', limit: 'K-1234' },
  ];

  it.each([
    ['the built-in rules', {}, /hunter22|abcdefghij|4111|dXNlcjpw/],
    ['rules with names of their own', { keys: ['kundennummer', 'limit'] }, /hunter22|abcdefghij|4111|dXNlcjpw|K-1/],
    ['rules with values of their own', { values: ['K-1234'] }, /hunter22|abcdefghij|4111|dXNlcjpw|K-1234/],
  ])('changes nothing it shows, by %s', (_name, options, hidden) => {
    const seasoned = createRedactor(options);
    for (let i = 0; i < 2; i++) seasoned.redact(ordinary);
    for (const value of telling) expect(seasoned.redact(value)).toEqual(createRedactor(options).redact(value));
    for (let i = 0; i < 3000; i++) seasoned.redact({ [`member ${i}`]: i });
    for (const value of [...telling, ordinary]) expect(seasoned.redact(value)).toEqual(createRedactor(options).redact(value));
    expect(JSON.stringify(telling.map((value) => seasoned.redact(value).shown))).not.toMatch(hidden);
  });
});

describe('redacting twice equals redacting once', () => {
  const piece = fc.oneof(
    anySecret.map(({ text }) => text),
    anySecret.map(({ text }) => text.slice(0, text.length / 2)),
    fc.constantFrom(...REDACTION_KINDS.map((kind) => `[redacted:${kind}]`), '[redacted:', ']', '[', ...ORDINARY.slice(20, 60)),
    fc.constantFrom(...DETECTORS.flatMap((detector) => detector.triggers)),
    fc.constantFrom(
      'token=',
      '&token=',
      '?password=',
      ';Password=',
      '://u:',
      '@',
      'Bearer ',
      '--secret=',
      'A_KEY="',
      ' ',
      '.',
      ':',
      '"',
      "'",
      '\\',
    ),
    fc.string({ unit: 'binary', maxLength: 8 }),
  );
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const name = fc.oneof(
    text,
    fc.constantFrom('password', 'name', 'key', 'value', 'token', 'credentials', 'pass', 'pwd', 'X-Api-Key', 'note'),
  );

  it('for texts', () => {
    fc.assert(
      fc.property(text, (input) => {
        const once = redactor.text(input);
        expect(redactor.text(once)).toBe(once);
      }),
      { numRuns: 5000 },
    );
  });

  it('for values, and finds nothing the second time', () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.oneof(
          text,
          fc.constantFrom<unknown>(null, true, 5, undefined, new Date(0), new URL('https://u:hunter22@a.example/'), new Uint8Array(2)),
        ),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(name, tie('value'), { maxKeys: 4 }),
      ),
    })).value;
    const custom = createRedactor({ keys: ['note', 'field2'], values: ['kämpfer', ']hunter', 'aaaaaa'] });
    fc.assert(
      fc.property(value, fc.constantFrom(redactor, custom), (input, by) => {
        const once = by.redact(input);
        const twice = by.redact(once.shown);
        expect(twice.shown).toEqual(once.shown);
        expect(twice.findings).toEqual([]);
        expect(by.redact(input)).toEqual(once);
      }),
      { numRuns: 2000 },
    );
  });

  it('for names and values of which some are no JSON', () => {
    for (const noName of [new Uint8Array(2), new Map(), () => 0]) {
      const once = redactor.redact([
        [noName, ''],
        ['token=', 'DB_PASSWORD=hunter22 node server.js'],
      ]);
      expect(JSON.stringify(once.shown)).not.toContain('hunter22');
      expect(redactor.redact(once.shown)).toEqual({ shown: once.shown, findings: [] });
    }
  });

  it('for a name in a list that is a secret itself', () => {
    const secret = secretsOf('1').find(({ kind }) => kind === 'github-token')?.secret ?? '';
    const once = redactor.redact([
      { name: `password ${secret}`, value: 'plain' },
      { name: new URL('https://a.example/#token'), value: 'plain' },
    ]);
    expect(redactor.redact(once.shown).shown).toEqual(once.shown);
    expect(JSON.stringify(once.shown)).not.toContain('plain');
  });

  it('even for a value that every replacement brings forth again', () => {
    const stubborn = createRedactor({ values: ['x[redacted:value]', '[redacted:value]y', 'xxxxxx'] });
    for (const input of ['x'.repeat(200), `${'x'.repeat(100)}[redacted:value]${'y'.repeat(100)}`]) {
      const once = stubborn.text(input);
      expect(stubborn.text(once)).toBe(once);
    }
  });
});

describe('options', () => {
  it('adds names by their words', () => {
    const { shown } = createRedactor({ keys: ['iban', 'taxNumber'] }).redact({
      iban: 'DE00',
      customerIban: 'DE00',
      'IBAN-2': 'DE00',
      iban_country: 'DE',
      tax_number: 12,
      taxnumber: 'x',
      number: 5,
      urban: 'x',
    });
    expect(shown).toEqual({
      iban: '[redacted:key-name]',
      customerIban: '[redacted:key-name]',
      'IBAN-2': '[redacted:key-name]',
      iban_country: 'DE',
      tax_number: '[redacted:key-name]',
      taxnumber: '[redacted:key-name]',
      number: 5,
      urban: 'x',
    });
  });

  it('replaces literal values in texts, names and numbers', () => {
    const by = createRedactor({ values: ['correct horse', '778899'] });
    expect(by.redact({ a: 'my correct horse staple', b: 17788990, 'x correct horse': 1 })).toEqual({
      shown: { a: 'my [redacted:value] staple', b: '[redacted:value]', 'x [redacted:value]': 1 },
      findings: [
        { kind: 'value', pointer: '' },
        { kind: 'value', pointer: '/a' },
        { kind: 'value', pointer: '/b' },
      ],
    });
  });

  it.each([
    { values: ['short'] },
    { values: ['x'.repeat(5000)] },
    { values: ['redacted'] },
    { values: ['[redacted:jwt]'] },
    { values: ['key-name'] },
    { values: ['broken\ud800'] },
    { keys: [''] },
    { keys: ['--'] },
    { values: Array.from({ length: 201 }, (_, i) => `value-${i}`) },
    { keys: [5 as unknown as string] },
    { values: 'abcdefgh' as unknown as string[] },
  ])('refuses %j without quoting a value', (options) => {
    try {
      createRedactor(options);
      expect.fail('accepted');
    } catch (error) {
      expect(CountersignError.is(error) && error.code).toBe('OPTIONS_INVALID');
      for (const value of options.values ?? [])
        if (value.length > 8 && !value.includes('redacted')) expect(String(error)).not.toContain(value);
    }
  });

  it('pins the kinds, which policies and ledgers name', () => {
    expect(REDACTION_KINDS).toMatchInlineSnapshot(`
      [
        "private-key",
        "putty-key",
        "age-key",
        "kubernetes-token",
        "jwt",
        "anthropic-key",
        "openai-key",
        "openrouter-key",
        "api-key",
        "huggingface-token",
        "groq-key",
        "xai-key",
        "perplexity-key",
        "replicate-token",
        "nvidia-key",
        "langsmith-key",
        "github-token",
        "gitlab-token",
        "atlassian-token",
        "bitbucket-token",
        "npm-token",
        "pypi-token",
        "crates-token",
        "rubygems-token",
        "nuget-key",
        "clojars-token",
        "docker-token",
        "artifactory-token",
        "circleci-token",
        "buildkite-token",
        "sonar-token",
        "sourcegraph-token",
        "postman-key",
        "linear-key",
        "notion-token",
        "figma-token",
        "airtable-token",
        "onepassword-key",
        "prefect-key",
        "readme-key",
        "contentful-token",
        "octopus-key",
        "infracost-key",
        "harness-token",
        "aws-access-key",
        "aws-secret-key",
        "aws-session-token",
        "aws-bedrock-key",
        "google-api-key",
        "google-token",
        "google-client-secret",
        "azure-client-secret",
        "alibaba-access-key",
        "digitalocean-token",
        "cloudflare-token",
        "heroku-key",
        "netlify-token",
        "vercel-token",
        "fly-token",
        "supabase-key",
        "planetscale-token",
        "databricks-token",
        "tailscale-key",
        "doppler-token",
        "pulumi-token",
        "vault-token",
        "terraform-token",
        "openshift-token",
        "hubspot-token",
        "stripe-key",
        "stripe-webhook-secret",
        "shopify-token",
        "square-token",
        "braintree-token",
        "paypal-token",
        "plaid-token",
        "facebook-token",
        "slack-token",
        "telegram-token",
        "discord-token",
        "sendgrid-key",
        "twilio-key",
        "mailgun-key",
        "mailchimp-key",
        "brevo-key",
        "typeform-token",
        "shippo-token",
        "easypost-key",
        "duffel-token",
        "flutterwave-key",
        "dropbox-token",
        "mapbox-token",
        "maxmind-key",
        "datadog-key",
        "newrelic-key",
        "sentry-token",
        "grafana-token",
        "dynatrace-token",
        "okta-token",
        "card-number",
        "iban",
        "webhook-url",
        "url-password",
        "connection-key",
        "parameter",
        "authorization",
        "bearer-token",
        "basic-credentials",
        "cookie",
        "header",
        "command-password",
        "key-name",
        "value",
        "encoded",
        "text",
      ]
    `);
    for (const kind of REDACTION_KINDS) expect(kind).toMatch(/^[a-z0-9-]{1,40}$/);
  });
});

describe('adversarial input finishes', () => {
  const triggers: ReadonlySet<string> = new Set(DETECTORS.flatMap((detector) => detector.triggers));
  const pieces = [
    ...triggers,
    ...[
      'a=',
      '&a=',
      '&token=',
      '&token={',
      ';token=',
      'token',
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN RSA ',
      'eyJ.',
      'eyJhbGciOiJub25l.a.',
      '://a:',
    ],
    ...[
      '://u:p@',
      'Cookie: a=b',
      'X-Api-Key: ',
      '[redacted:jwt]',
      '[redacted:',
      '?token=[redacted:jwt]',
      'SG.a.',
      'xoxb-a.',
      'AKIA_',
      'sk-aB3',
      'Basic Og',
    ],
    ...['a', 'aA', 'a1', '_', '\u0000', '😀', '"', '\\', ' '],
  ];
  it.each([...new Set(pieces)])('on %j', (piece) => {
    const text = piece.repeat(Math.floor((triggers.has(piece) ? 150_000 : 1_000_000) / piece.length));
    const once = redactor.text(text);
    expect(once.length).toBeGreaterThan(0);
    redactor.redact({ [text.slice(0, 100_000)]: text.slice(0, 100_000) });
  });

  it.each(['sk-', 'eyJ', '-----BEGIN ', 'eyJ.', '-----BEGIN PRIVATE KEY-----', '://', '=', 'Bearer '])('on 4 MB of %j', (piece) => {
    expect(redactor.text(piece.repeat(Math.floor(4_000_000 / piece.length))).length).toBeGreaterThan(0);
  });

  it('on many findings under a long name', () => {
    const list = Array.from({ length: 5000 }, () => ({ password: 'hunter22' }));
    const { findings } = redactor.redact({ ['k'.repeat(1_000_000)]: list });
    for (const { pointer } of findings) expect(pointer.length).toBeLessThanOrEqual(256);
  });

  it('on a value deeper than any captured one', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(JSON.stringify(redactor.redact(deep).shown)).toContain('[too deep]');
  });

  it('on a pair of triggers', () => {
    const first = DETECTORS.map((detector) => detector.triggers[0] ?? '');
    for (const [i, a] of first.entries()) {
      for (const [j, b] of first.entries()) if ((i + j) % 7 === 0) redactor.text(`${a}${b}`.repeat((i + j) % 35 === 0 ? 500 : 20));
    }
  });

  it('on many members and many secrets', () => {
    const secrets = secretsOf('many');
    const value = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, i) => [`${secrets[i % secrets.length]?.text}`.slice(0, 60) + i, i]),
    );
    expect(Object.keys(redactor.redact(value).shown as object).length).toBe(Object.keys(value).length);
  });
});
