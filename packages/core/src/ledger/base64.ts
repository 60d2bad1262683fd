/** Standard base64 (RFC 4648 section 4), one text per value: with padding, without spaces, unused bits zero. */

/** The bytes, or undefined for anything but the one text that encodes them. */
export function decodeBase64(text: string): Buffer | undefined {
  // Node reads base64 leniently, so that many texts give the same bytes. Only the one it would write itself counts.
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
