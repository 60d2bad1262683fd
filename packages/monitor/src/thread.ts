/** Starting one of our own files as a worker thread: the same line from source (`.ts`) and from `dist` (`.js`). */
import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * @param base - `import.meta.url` of the caller.
 * @param name - the thread's file beside it, without extension: `./connector-thread`.
 */
export function startThread(base: string, name: string, options: WorkerOptions = {}): Worker {
  return new Worker(new URL(`${name}${extname(new URL(base).pathname)}`, base), options);
}
