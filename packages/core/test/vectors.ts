/** Test vectors made by others. They live beside the repository, never in it. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../../shared/vectors/', import.meta.url));

/** False when a folder of vectors is not there, after saying so: `describe.skipIf(!hasVectors('jcs'))`. */
export function hasVectors(folder: string): boolean {
  const present = existsSync(`${ROOT}${folder}`);
  if (!present)
    console.warn(`SKIPPED: no test vectors at ../shared/vectors/${folder}. Their tests do not run, so nothing is proven by them.`);
  return present;
}

export function vectorPath(path: string): string {
  return `${ROOT}${path}`;
}

export function vectorText(path: string): string {
  return readFileSync(vectorPath(path), 'utf8');
}

export function vectorBytes(path: string): Buffer {
  return readFileSync(vectorPath(path));
}

/** The caller states the shape: the files are fixed and were read by a person. */
export function vectorJson<T>(path: string): T {
  return JSON.parse(vectorText(path)) as T;
}
