import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { entryRecord, exported } from './ledger.ts';

// The attributes OCSF 1.7.0 requires of API Activity (6003), of the objects in it, and the enumerations used.
const eventSchema = z.strictObject({
  activity_id: z.literal(99),
  activity_name: z.string(),
  category_uid: z.literal(6),
  category_name: z.literal('Application Activity'),
  class_uid: z.literal(6003),
  class_name: z.literal('API Activity'),
  type_uid: z.literal(600_399),
  type_name: z.string(),
  time: z.int().min(0),
  severity_id: z.union([z.literal(1), z.literal(2), z.literal(3)]),
  severity: z.enum(['Informational', 'Low', 'Medium']),
  status_id: z.union([z.literal(1), z.literal(2), z.literal(99)]),
  status: z.string(),
  status_code: z.string().optional(),
  status_detail: z.string().optional(),
  action_id: z.union([z.literal(0), z.literal(1), z.literal(2)]),
  action: z.string(),
  disposition_id: z.union([z.literal(1), z.literal(2), z.literal(8), z.literal(99)]),
  disposition: z.string(),
  duration: z.int().optional(),
  message: z.string(),
  actor: z.strictObject({
    app_name: z.string(),
    session: z.strictObject({ uid: z.string() }).optional(),
    user: z.strictObject({ name: z.string(), type_id: z.literal(0) }).optional(),
  }),
  api: z.strictObject({
    operation: z.string(),
    service: z.strictObject({ name: z.string() }).optional(),
    request: z.strictObject({ uid: z.string() }).optional(),
    response: z.strictObject({ error: z.string() }).optional(),
  }),
  src_endpoint: z.strictObject({ name: z.string() }),
  policy: z.strictObject({ name: z.string().optional(), version: z.string().optional(), uid: z.string().optional() }).optional(),
  metadata: z.strictObject({
    version: z.literal('1.7.0'),
    product: z.strictObject({ name: z.string(), vendor_name: z.string() }),
    profiles: z.tuple([z.literal('security_control')]),
    uid: z.string(),
    log_name: z.string().optional(),
    sequence: z.int().min(1),
    correlation_uid: z.string().optional(),
    original_time: z.string().optional(),
  }),
  unmapped: z.strictObject({ countersign: z.looseObject({ entry: z.int(), kind: z.string() }) }),
});

const events = (text: string): readonly z.infer<typeof eventSchema>[] =>
  text.split('\n').flatMap((line) => (line === '' ? [] : [eventSchema.parse(JSON.parse(line))]));

describe('ocsf', () => {
  it('of the golden ledger is this file', async () => {
    await expect(exported('ocsf')).toMatchFileSnapshot('golden/ledger.ocsf.ndjson');
  });

  it('tells decisions, answers and outcomes, with everything the class requires', () => {
    const told = events(exported('ocsf'));
    expect(
      told.map(({ activity_name, action, disposition, status, severity }) => [activity_name, action, disposition, status, severity]),
    ).toEqual([
      ['Tool call decided', 'Allowed', 'Allowed', 'Success', 'Informational'],
      ['Tool call ended', 'Allowed', 'Allowed', 'Success', 'Informational'],
      ['Tool call decided', 'Denied', 'Blocked', 'Failure', 'Medium'],
      ['Tool call asked', 'Unknown', 'Approval required', 'Pending', 'Low'],
      ['Approval answered', 'Allowed', 'Approved', 'Success', 'Informational'],
      ['Tool call decided', 'Allowed', 'Approved', 'Success', 'Informational'],
      ['Tool call ended', 'Allowed', 'Allowed', 'Failure', 'Low'],
      ['Tool call decided', 'Allowed', 'Allowed', 'Success', 'Informational'],
    ]);
    expect(told.map(({ api }) => api.operation)).toEqual([
      'refund',
      'refund',
      'drop-table',
      'refund',
      'refund',
      'refund',
      'refund',
      'report',
    ]);
    expect(new Set(told.map(({ metadata }) => metadata.uid)).size).toBe(told.length);
  });

  it('holds clear text only with openings', () => {
    expect(exported('ocsf')).toContain('nobody may drop tables');
    const plain = exported('ocsf', { withOpenings: false });
    expect(plain).not.toMatch(/nobody may|"args"|"result"|"error":\{|checked with/);
    expect(events(plain)).toHaveLength(8);
  });

  it('tells what rules on results did: the call ran all the same', () => {
    const told = (released: unknown): z.infer<typeof eventSchema> | undefined =>
      events(exported('ocsf', {}, [entryRecord({ kind: 'outcome', status: 'success', released })]))[0];
    const withheld = told({ action: 'withhold', rule: 'r', reason_code: 'RESULT_RULE' });
    expect(withheld?.unmapped.countersign).toMatchObject({ rule: 'r', released: { action: 'withhold', reason_code: 'RESULT_RULE' } });
    expect(withheld?.action).toBe('Allowed');
    expect(told({ action: 'release', would: 'mask' })?.unmapped.countersign['released']).toEqual({ action: 'release', would: 'mask' });
    for (const odd of [undefined, null, 5, 'mask', [], {}, { action: 5 }])
      expect(told(odd)?.unmapped.countersign).not.toHaveProperty('released');
  });

  it.each([
    { kind: 'decision' },
    { kind: 'decision', at: 1e300, effect: 'shrug', agent: 5, tool: 'x', policy: [] },
    { kind: 'outcome', decision: { of: 1e9 }, status: null },
    { kind: 'decision', agent: '\u001b[2J\u202e\n', tool: { name: '\n{}' }, effect: 'allow' },
  ])('has the required attributes for a crafted entry too (%#)', (body) => {
    const text = exported('ocsf', {}, [entryRecord(body)]);
    expect(events(text)).toHaveLength(1);
    expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});
