/** Requests to our own server. The cookie goes along by itself. */

export interface Answered {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export function getJson(path: string): Promise<Answered> {
  return answered(fetch(path));
}

export function postJson(path: string, body: unknown): Promise<Answered> {
  return answered(fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }));
}

/** Never rejects: a server that is not there is status 0. */
async function answered(request: Promise<Response>): Promise<Answered> {
  try {
    const response = await request;
    const body: unknown = await response.json();
    return { status: response.status, body: typeof body === 'object' && body !== null ? { ...body } : {} };
  } catch {
    return { status: 0, body: {} };
  }
}
