import { describe, expect, it } from 'vitest';
import { MAX_REASON_CHARS, readVerdict } from '../../src/authzen/verdict.ts';

const NO_DECISION = 'answered without a boolean decision, or with a context that is no object';
const NOT_HONOURED = 'attached a context that cannot be honoured';
const ASK_NOT_HONOURED = 'attached a countersign object that cannot be honoured';

/** As it comes from the wire: `__proto__` is then an own key. */
function read(text: string): ReturnType<typeof readVerdict> {
  return readVerdict(JSON.parse(text));
}

describe('decision', () => {
  it.each([
    'null',
    'true',
    '1',
    '"true"',
    '[]',
    '[true]',
    '{}',
    '{"decision":null}',
    '{"decision":1}',
    '{"decision":"true"}',
    '{"decision":"allow"}',
    '{"decision":[true]}',
    '{"decision":{}}',
    '{"Decision":true}',
    '{"evaluations":[{"decision":true}]}',
    '{"__proto__":{"decision":true}}',
    '{"decision":true,"context":null}',
    '{"decision":true,"context":[]}',
    '{"decision":true,"context":"ok"}',
    '{"decision":true,"context":0}',
  ])('refuses %s', (text) => {
    expect(() => read(text)).toThrow(NO_DECISION);
  });

  it.each([
    '{"decision":true}',
    '{"decision":true,"context":{}}',
    '{"decision":true,"context":{"id":"0","reason_admin":{"en":"policy C076E82F"},"reason_user":{"en":"fine"}}}',
    '{"decision":true,"trace":"members outside the context are ignored"}',
  ])('allows %s', (text) => {
    expect(read(text)).toStrictEqual({ effect: 'allow', reasonCode: 'POLICY_ALLOW_LOW_RISK' });
  });

  it.each([
    'obligations',
    'advice',
    'acr_values',
    'reason',
    'countersign',
    'ID',
    '',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
  ])('does not allow with the context key %j', (key) => {
    expect(() => read(`{"decision":true,"context":{"id":"0",${JSON.stringify(key)}:{}}}`)).toThrow(NOT_HONOURED);
  });

  it('denies whatever else the context of a deny says', () => {
    expect(read('{"decision":false,"context":{"acr_values":"loa3","__proto__":{"reason_user":"x"}}}')).toStrictEqual({
      effect: 'deny',
      reasonCode: 'POLICY_DENY_HIGH_RISK',
      reason: 'denied by the decision point',
    });
  });
});

describe('asking a human', () => {
  it('has a code of its own when the answer names none', () => {
    expect(read('{"decision":false,"context":{"countersign":{"effect":"require_approval"}}}')).toStrictEqual({
      effect: 'require_approval',
      reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE',
    });
  });

  it.each([
    'null',
    'true',
    '"require_approval"',
    '[]',
    '{}',
    '{"effect":"allow"}',
    '{"effect":["deny"]}',
    '{"effect":"require_approval","approval_id":7}',
    '{"effect":"require_approval","labels":["trusted"]}',
    '{"effect":"require_approval","effect_":"deny"}',
    '{"effect":"REQUIRE_APPROVAL"}',
    '{"effect":["require_approval"]}',
    '{"__proto__":{"effect":"require_approval"}}',
    '{"effect":"require_approval","approvers":["cfo"]}',
    '{"effect":"require_approval","terms":{"quorum":2}}',
    '{"effect":"require_approval","__proto__":{"quorum":2}}',
    '{"effect":"require_approval","constructor":{}}',
    '{"effect":"require_approval","reason_code":null}',
    '{"effect":"require_approval","reason_code":""}',
    '{"effect":"require_approval","reason_code":"AB"}',
    '{"effect":"require_approval","reason_code":"lower_case"}',
    '{"effect":"require_approval","reason_code":"1ST"}',
    '{"effect":"require_approval","reason_code":"A B C"}',
    '{"effect":"require_approval","reason_code":"OVER_LIMIT\\n"}',
    `{"effect":"require_approval","reason_code":"A${'B'.repeat(64)}"}`,
    '{"effect":"require_approval","reason_code":"APPROVAL_GRANTED"}',
    '{"effect":"require_approval","reason_code":"LEDGER_QUEUE_FULL"}',
  ])('refuses %s', (ask) => {
    expect(() => read(`{"decision":false,"context":{"countersign":${ask}}}`)).toThrow(ASK_NOT_HONOURED);
  });

  it('takes the deny of another Countersign as a deny, whatever else it says', () => {
    const text = '{"decision":false,"context":{"countersign":{"effect":"deny","reason_code":"APPROVAL_GRANTED"},"reason_user":"no"}}';
    expect(read(text)).toStrictEqual({ effect: 'deny', reasonCode: 'POLICY_DENY_HIGH_RISK', reason: 'no' });
  });

  it('gives no meaning to the id of an approval over there', () => {
    const text = '{"decision":false,"context":{"countersign":{"effect":"require_approval","approval_id":"01"}}}';
    expect(read(text)).toStrictEqual({ effect: 'require_approval', reasonCode: 'POLICY_REQUIRE_APPROVAL_HIGH_VALUE' });
  });

  it('refuses a further requirement beside it: an approval would run the call without it', () => {
    expect(() => read('{"decision":false,"context":{"acr_values":"loa3","countersign":{"effect":"require_approval"}}}')).toThrow(
      NOT_HONOURED,
    );
  });
});

describe('reasons', () => {
  const reasons: readonly [string, unknown, string][] = [
    ['a text', 'over the limit', 'over the limit'],
    ['a map', { es: 'demasiado', en: 'too much' }, 'demasiado'],
    ['a map with other values', { a: 1, b: null, c: 'third' }, 'third'],
    ['control characters', 'a\u0000b\u001b[31mc\r\nd', 'a b [31mc d'],
    ['bidirectional and invisible characters', 'a\u202eb\u200bc\u2028d\ufeffe', 'a b c d e'],
    ['lone surrogates', 'a\ud800b\udc00c', 'a b c'],
    ['pairs', 'ok \u{1f44d}', 'ok \u{1f44d}'],
    ['nothing visible', '\u0000\u200b \n', 'denied by the decision point'],
    ['a number', 403, 'denied by the decision point'],
    ['an array', ['x'], 'denied by the decision point'],
    ['null', null, 'denied by the decision point'],
  ];

  it.each(reasons)('%s', (_name, reason, shown) => {
    expect(readVerdict({ decision: false, context: { reason_user: reason } })).toMatchObject({ effect: 'deny', reason: shown });
  });

  it('are never the one for administrators', () => {
    expect(JSON.stringify(read('{"decision":false,"context":{"reason_admin":"rule 7 of C076E82F"}}'))).not.toContain('C076E82F');
  });

  it('are bounded and never end in half a character', () => {
    for (const pad of ['', 'x']) {
      const verdict = readVerdict({ decision: false, context: { reason_user: pad + '\u{1f44d}'.repeat(30_000) } });
      const reason = 'reason' in verdict ? (verdict.reason ?? '') : '';
      expect(reason.length).toBeGreaterThan(MAX_REASON_CHARS - 3);
      expect(reason.length).toBeLessThanOrEqual(MAX_REASON_CHARS);
      expect(reason.isWellFormed()).toBe(true);
    }
  });

  it('are redacted', () => {
    const key = ['ghp', 'x9Kd82LmQpZr4TnVwYb7CfHjA1sEgU3oI5Ra'].join('_');
    const verdict = readVerdict({ decision: false, context: { reason_user: `password=${key} is not allowed` } });
    expect(verdict).toMatchObject({ effect: 'deny', reason: expect.stringMatching(/redacted:/) });
    expect(JSON.stringify(verdict)).not.toContain(key);
  });

  it('lose the token before they are cut', () => {
    const token = 'T'.repeat(100);
    const verdict = readVerdict({ decision: false, context: { reason_user: 'x'.repeat(450) + token } }, token);
    expect(JSON.stringify(verdict)).not.toContain('TT');
  });
});
