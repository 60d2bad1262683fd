/** Exports by anybody: whatever stands in them is told in the report. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openRecords, verifyLedger } from '../../src/sqlite/index.ts';
import { tempDirectory } from '../fixtures/ledger.ts';

const DEEP = 200_000;
const deep = `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`;
const HEADER = '{"countersign":"export","version":1,"origin":"o.example/x","size":1,"checkpoint":null}';
const unknown = `{"countersign":"export","version":1,"origin":"o","size":1,"checkpoint":null,"more":${deep}}\n`;
const leaf = '0'.repeat(64);

describe('nesting that no stack holds', () => {
  it.each([
    ['in the header', `{"countersign":"export","version":1,"origin":${deep},"size":1,"checkpoint":null}\n`],
    ['beside the header', unknown],
    ['in an opening', `${HEADER}\n{"index":0,"leaf":"${leaf}","entry":{},"opening":{"key":"${leaf}","sections":{"1":${deep}}}}\n`],
    ['in an entry', `${HEADER}\n{"index":0,"leaf":"${leaf}","entry":{"a":${deep}}}\n`],
    ['in a torn entry', `${HEADER}\n{"index":0,"leaf":"${leaf}","entry":{"a":${deep}}}`],
  ])('%s is a finding', async (_where, text) => {
    const path = join(tempDirectory(), 'export.ndjson');
    writeFileSync(path, text);
    expect(await verifyLedger(path)).toMatchObject({ status: 'invalid' });
    const reader = openRecords(path);
    expect([...reader.records()].length).toBeLessThanOrEqual(1);
    reader.close();
  });
});

describe('a ledger of the predecessor', () => {
  const entry = (parameters: string): string =>
    `{"action":"a","agent_id":"b","created_at":"2026-01-01T00:00:00Z","decision":{"effect":"allow"},"entry_hash":"${leaf}","event":"decision","ledger_version":"2.0","parameters":${parameters},"prev_entry_hash":null,"request_id":"r","schema_version":"2.0"}\n`;
  it.each([
    ['deep', entry(deep)],
    ['a huge number', entry(`{"n":${'9'.repeat(1_000_000)}}`)],
    ['a huge exponent', entry('{"n":1e999999999}')],
    ['a long line', entry(`"${'x'.repeat(5_000_000)}"`)],
  ])('with %s is a finding', async (_what, text) => {
    const path = join(tempDirectory(), 'ledger.jsonl');
    writeFileSync(path, text);
    expect(await verifyLedger(path)).toMatchObject({ status: 'invalid' });
    const reader = openRecords(path);
    expect([...reader.records()].length).toBeLessThanOrEqual(1);
    reader.close();
  });
});
