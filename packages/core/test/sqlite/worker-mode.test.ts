/** What holds for a writer on the main thread holds for one on a thread of its own: the same tests again. */
process.env['COUNTERSIGN_TEST_WRITER'] = 'worker';
await import('./durability.test.ts');
await import('../attack/approval-answers.test.ts');
await import('../attack/commit-failure-wedges-the-writer.test.ts');
await import('../attack/grants.test.ts');
await import('../attack/hangs.test.ts');
await import('../attack/heads-and-leases.test.ts');
await import('../attack/leaks-and-bypasses.test.ts');
await import('../attack/lost-rows.test.ts');
await import('../attack/one-call-fails-the-batch.test.ts');
await import('../attack/second-round.test.ts');
