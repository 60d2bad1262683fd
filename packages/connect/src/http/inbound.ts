/** What every handler that takes a POST from outside checks first, and how it says no. */

/** `{"error":{"code":...,"message":...}}`. Both are fixed words: nothing of the request, nothing about what is here. */
export function refusal(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}): Response {
  return jsonResponse(status, { error: { code, message } }, headers);
}

export function jsonResponse(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...headers },
  });
}

/** The raw body of a POST with this media type and at most so many bytes, or the refusal. */
export async function readPost(request: Request, mediaType: string, maxBytes: number): Promise<Uint8Array | Response> {
  if (request.method !== 'POST') return refusal(405, 'METHOD_NOT_ALLOWED', 'only POST is taken here', { allow: 'POST' });
  const type = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== mediaType) return refusal(415, 'CONTENT_TYPE_UNSUPPORTED', `the content type must be ${mediaType}`);
  const tooLarge = (): Response => refusal(413, 'BODY_TOO_LARGE', `a body has at most ${maxBytes} bytes`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) return tooLarge();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  if (request.body !== null) {
    try {
      for await (const chunk of request.body) {
        sizeBytes += chunk.byteLength;
        if (sizeBytes > maxBytes) return tooLarge();
        chunks.push(chunk);
      }
    } catch {
      return refusal(400, 'BODY_INVALID', 'the body could not be read to its end');
    }
  }
  return Buffer.concat(chunks);
}
