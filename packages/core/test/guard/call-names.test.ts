import { describe, expect, it } from 'vitest';
import { callNames, type KeyedCall } from '../../src/call-key.ts';

const call: KeyedCall = {
  agent: 'a"b',
  session: 's',
  principal: undefined,
  tool: { server: 'files', name: 'read' },
  exact: '{"path":"/srv/é"}',
};
const written = (text: string): string => text;
const subject = '"a\\"b","s",null,"files","read",null,"{\\"path\\":\\"/srv/é\\"}"';

describe('callNames', () => {
  // What an older version recorded must be found again.
  it('writes key and match as RFC 8785 lists behind their domains', () => {
    const framework = { id: 'n:1', turn: 'x,y', attempt: 2 };
    expect(callNames(call, framework, written)).toEqual({
      key: `countersign/call-key/v1\n["n:1","x,y",2,${subject}]`,
      match: `countersign/call-match/v1\n[${subject}]`,
    });
  });

  it('keeps a turn that is absent from one of that name', () => {
    const key = (turn: string | undefined): string | undefined => callNames(call, { id: 'i', turn, attempt: 1 }, written).key;
    expect(key(undefined)).toBe(`countersign/call-key/v1\n["i",null,1,${subject}]`);
    expect(key('null')).not.toBe(key(undefined));
  });

  it('gives no key to a call of which the framework has no id', () => {
    expect(callNames(call, undefined, written)).toEqual({ key: undefined, match: `countersign/call-match/v1\n[${subject}]` });
  });
});
