/**
 * The chat, kept in the browser: anybody at this browser can write into it. The server takes it for what it is, something
 * that a client says.
 */
import type { UIMessage } from 'ai';

export interface RememberedChat {
  readonly id: string;
  readonly messages: UIMessage[];
}

export function newChat(): RememberedChat {
  return { id: crypto.randomUUID(), messages: [] };
}

export const keyOf = (user: string): string => `shop-chat:${user}`;

export function rememberedChat(user: string): RememberedChat {
  return readChat(localStorage.getItem(keyOf(user))) ?? newChat();
}

export function remember(user: string, chat: RememberedChat): void {
  localStorage.setItem(keyOf(user), JSON.stringify(chat));
}

export function readChat(text: string | null): RememberedChat | undefined {
  try {
    const { id, messages } = JSON.parse(text ?? '') as Partial<RememberedChat>;
    return typeof id === 'string' && Array.isArray(messages) ? { id, messages } : undefined;
  } catch {
    return undefined;
  }
}
