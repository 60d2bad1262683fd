import { describe, expect, it } from 'vitest';
import { entryRecord, exported, RECORDS } from './ledger.ts';

/** RFC 4180, read by the book: what a spreadsheet would see. */
function parse(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (text[at] === '"') {
      at++;
      for (;;) {
        const end = text.indexOf('"', at);
        cell += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        cell += '"';
        at++;
      }
    } else {
      const end = /[,\r]/.exec(text.slice(at))?.index ?? text.length - at;
      cell = text.slice(at, at + end);
      at += end;
    }
    row.push(cell);
    if (text[at] === ',') at++;
    else {
      expect(text.slice(at, at + 2)).toBe('\r\n');
      at += 2;
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

describe('csv', () => {
  it('has exactly these columns', () => {
    expect(exported('csv').split('\r\n')[0]).toBe(
      'entry,leaf,time,kind,agent,session,principal,call,server,tool,effect,would,mode,reason_code,rule,policy_id,policy_version,policy_hash,approval,answer,approver,decision_entry,status,error_type,duration_ms,event,args,reason,message,result,error,grant,when,released,released_would,released_reason_code',
    );
  });

  it('of the golden ledger is this file', async () => {
    await expect(exported('csv')).toMatchFileSnapshot('golden/ledger.csv');
  });

  it('has one row per entry and as many cells in each', () => {
    const rows = parse(exported('csv'));
    expect(rows).toHaveLength(RECORDS.length + 1);
    for (const row of rows) expect(row).toHaveLength(36);
  });

  it('joins an outcome and an answer to their decision', () => {
    const [header = [], ...rows] = parse(exported('csv'));
    const value = (row: readonly string[] | undefined, name: string): string | undefined => row?.[header.indexOf(name)];
    const outcome = rows.find((row) => value(row, 'kind') === 'outcome');
    const decision = rows[Number(value(outcome, 'decision_entry')) - 1];
    expect(value(decision, 'kind')).toBe('decision');
    for (const name of ['server', 'tool', 'call', 'principal']) expect(value(outcome, name)).toBe(value(decision, name));
    const answer = rows.find((row) => value(row, 'kind') === 'approval');
    expect(value(answer, 'tool')).toBe('refund');
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '\uff1d1', "=cmd|' /C calc'!A0"])(
    'does not let %j become a formula',
    (evil) => {
      const text = exported('csv', {}, [
        entryRecord({ kind: evil, agent: evil, session: evil, reason_code: evil }, { key: '', sections: { reason: evil } }),
      ]);
      const [, row = []] = parse(text);
      const filled = row.slice(3).filter((cell) => cell !== '');
      expect(filled.length).toBeGreaterThanOrEqual(5);
      for (const cell of filled) expect(cell).not.toMatch(/^\s*[=+\-@\uff1d]/);
      // Nothing is lost: without the apostrophe it is the text, its control characters spelled.
      expect(filled[0]?.replace(/^'/, '')).toBe(evil.replace('\t', '\\u{9}').replace('\r', '\\u{d}'));
    },
  );

  it.each(['a,b', 'a"b', '"', 'a\nb', 'a\r\nb,"c"', '\u001b[2J', '\u202eevil', ' spaced ', '\ud800'])(
    'keeps %j in its cell and its line',
    (evil) => {
      const text = exported('csv', {}, [entryRecord({ kind: 'decision', agent: evil, tool: { name: evil } })]);
      expect(text.split('\r\n')).toHaveLength(3);
      expect(text.replaceAll('\r\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
      const [, row = []] = parse(text);
      expect(row[4]).toBe(row[9]);
      expect(row[4]?.length).toBeGreaterThanOrEqual(evil.length);
    },
  );

  it('tells what rules on results did, and survives what is none of that', () => {
    const cells = (released: unknown): readonly string[] =>
      parse(exported('csv', {}, [entryRecord({ kind: 'outcome', status: 'success', released })]))[1]?.slice(-3) ?? [];
    expect(cells({ action: 'release', would: 'withhold', rule: 'r', reason_code: 'RESULT_RULE' })).toEqual([
      'release',
      'withhold',
      'RESULT_RULE',
    ]);
    expect(cells({ action: 'mask', rule: 'r' })).toEqual(['mask', '', '']);
    expect(cells({ action: '=1+1', would: '@x', reason_code: '-1' })).toEqual(["'=1+1", "'@x", "'-1"]);
    for (const odd of [undefined, null, 5, 'mask', [], {}, { action: 5 }, { would: 'mask' }]) expect(cells(odd)).toEqual(['', '', '']);
  });

  it('leaves clear text out on request, and has a row for what is no entry', () => {
    const plain = exported('csv', { withOpenings: false });
    expect(plain).not.toContain('nobody may drop tables');
    expect(exported('csv')).toContain('nobody may drop tables');
    const rows = parse(exported('csv', {}, [{ index: 0, text: 'not JSON,\n=1' }]));
    expect(rows[1]?.slice(0, 4)).toEqual(['1', expect.stringMatching(/^[0-9a-f]{64}$/), '', 'unreadable']);
  });
});
