/** Which session of the guard a chat is. */

/** A chat id comes from the page. */
export const CHAT_ID: RegExp = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The user is in it, and comes from the cookie: whoever sends the chat id of somebody else names another session, in which
 * nothing was asked, approved or run. Neither part has a slash.
 */
export function sessionOf(user: string, chat: string): string {
  return `${user}/${chat}`;
}

export function isSessionOf(user: string, session: string): boolean {
  return session.startsWith(`${user}/`);
}
