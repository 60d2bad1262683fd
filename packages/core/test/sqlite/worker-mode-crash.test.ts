/** kill -9 again, with the writer on a thread of its own. */
process.env['COUNTERSIGN_TEST_WRITER'] = 'worker';
await import('./crash.test.ts');
