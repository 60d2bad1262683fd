/** The page: sign in, then talk. Who one is, is the server's word. */
import './no-eval.ts';
import { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Conversation } from './conversation.tsx';
import { newChat, rememberedChat } from './remembered.ts';
import { getJson, postJson } from './requests.ts';
import { SignIn } from './sign-in.tsx';

function Page() {
  const [user, setUser] = useState<string | null | undefined>(undefined);
  const [chat, setChat] = useState(newChat);
  const signedIn = (name: string): void => {
    setChat(rememberedChat(name));
    setUser(name);
  };
  useEffect(() => {
    void getJson('/api/me').then(({ body: { user: name } }) => (typeof name === 'string' ? signedIn(name) : setUser(null)));
  }, []);
  if (user === undefined) return <p className="quiet">One moment …</p>;
  if (user === null) return <SignIn onSignedIn={signedIn} />;
  const signOut = async (): Promise<void> => {
    await postJson('/api/sign-out', {});
    setUser(null);
  };
  return (
    <>
      <header>
        <h1>Shop assistant</h1>
        <span className="who">{user}</span>
        <button id="new-chat" type="button" onClick={() => setChat(newChat())}>
          New chat
        </button>
        <button id="sign-out" type="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </header>
      <Conversation key={chat.id} user={user} chat={chat} />
    </>
  );
}

const root = document.querySelector('#page');
if (root !== null)
  createRoot(root).render(
    <StrictMode>
      <Page />
    </StrictMode>,
  );
