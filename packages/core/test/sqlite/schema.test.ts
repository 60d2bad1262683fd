import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { checkSchema, createSchema, isFresh, SCHEMA_VERSION, upgradeSchema } from '../../src/sqlite/schema.ts';

describe('the schema', () => {
  it('is made once, on an empty file only', () => {
    const database = new Sqlite(':memory:');
    expect(isFresh(database)).toBe(true);
    createSchema(database);
    expect(isFresh(database)).toBe(false);
    expect(() => checkSchema(database)).not.toThrow();
  });

  it('goes up step by step, each with its version, and never down', () => {
    const database = new Sqlite(':memory:');
    createSchema(database);
    const steps = [1, 2].map((step) => (target: Sqlite.Database) => void target.exec(`CREATE TABLE step${step} (a)`));
    upgradeSchema(database, steps, SCHEMA_VERSION + 2);
    expect(database.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION + 2);
    expect(database.prepare(`SELECT count(*) FROM sqlite_schema WHERE name LIKE 'step_'`).pluck().get()).toBe(2);
    upgradeSchema(database);
    expect(() => checkSchema(database)).toThrow(expect.objectContaining({ code: 'LEDGER_VERSION' }));
  });

  it('stops where a step is missing, and is then refused', () => {
    const database = new Sqlite(':memory:');
    createSchema(database);
    database.pragma('user_version = 0');
    upgradeSchema(database);
    expect(database.pragma('user_version', { simple: true })).toBe(0);
    expect(() => checkSchema(database)).toThrow(expect.objectContaining({ code: 'LEDGER_VERSION' }));
  });

  it('of another database is refused by its application id', () => {
    const database = new Sqlite(':memory:');
    database.exec('CREATE TABLE entries (seq, body)');
    expect(() => checkSchema(database)).toThrow(expect.objectContaining({ code: 'LEDGER_UNREADABLE' }));
  });
});
