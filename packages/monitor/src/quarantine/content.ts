/** Hashing and copying what lies in an open file, with a bound. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const CHUNK_BYTES = 1_048_576;

/** @returns undefined past `maxBytes`: what was not read to its end has no hash. */
export async function hashOf(file: FileHandle, maxBytes: number): Promise<string | undefined> {
  return through(file, maxBytes, async () => {});
}

/** Writes it all to `to`, from where that stands. @returns as `hashOf`; then `to` holds a part. */
export async function copyTo(file: FileHandle, to: FileHandle, maxBytes: number): Promise<string | undefined> {
  return through(file, maxBytes, async (chunk) => {
    for (let written = 0; written < chunk.length; ) written += (await to.write(chunk, written)).bytesWritten;
  });
}

async function through(file: FileHandle, maxBytes: number, take: (chunk: Uint8Array) => Promise<void>): Promise<string | undefined> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) return hash.digest('hex');
    position += bytesRead;
    if (position > maxBytes) return undefined;
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    await take(chunk);
  }
}
