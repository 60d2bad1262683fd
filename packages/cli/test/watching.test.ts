import { join } from 'node:path';
import { expect, it } from 'vitest';
import { watching } from '../src/health/watching.ts';
import { folder } from './harness.ts';

it('says that answers are noticed where a watch can be had, also before there is a ledger', () => {
  const cwd = folder();
  for (const path of [join(cwd, 'ledger.db'), join(cwd, '.countersign/ledger.db')]) expect(watching(path)).toMatchObject({ status: 'ok' });
});

it.each([
  ['EMFILE', 'max_user_instances'],
  ['ENOSPC', 'max_user_watches'],
  ['EPERM', 'local disk'],
])('warns of %s, and says what to do', (code, advice) => {
  const start = (): never => {
    throw Object.assign(new Error(code), { code });
  };
  expect(watching(join(folder(), 'ledger.db'), start)).toMatchObject({
    status: 'warn',
    message: expect.stringContaining(`(${code}): answers given in other processes are polled for`) as string,
    next: expect.stringContaining(advice) as string,
  });
});
