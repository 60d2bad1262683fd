import { useEffect, useState } from 'react';
import { postJson } from './requests.ts';

/** The link that the server prints brings name and password along, behind the #, where no server sees them. */
function fromAddress(): { readonly user: string; readonly password: string } {
  try {
    const [user = '', password = ''] = decodeURIComponent(location.hash.slice(1)).split(':');
    return { user, password };
  } catch {
    // Somebody else made that link.
    return { user: '', password: '' };
  }
}

export function SignIn({ onSignedIn }: { readonly onSignedIn: (user: string) => void }) {
  const [{ user, password }, setGiven] = useState(fromAddress);
  const [wrong, setWrong] = useState('');
  useEffect(() => history.replaceState(null, '', location.pathname), []);
  const send = async (): Promise<void> => {
    const { status } = await postJson('/api/sign-in', { user, password });
    if (status === 200) onSignedIn(user);
    else setWrong(status === 401 ? 'That name and password do not belong together.' : 'The server does not answer. Try again.');
  };
  return (
    <main className="sign-in">
      <h1>Shop assistant</h1>
      <p>It looks things up by itself, and asks you before it does what costs money.</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <label>
          Name
          <input id="user" autoComplete="username" value={user} onChange={({ target }) => setGiven({ user: target.value, password })} />
        </label>
        <label>
          Password
          <input
            id="password"
            type="password"
            autoComplete="current-password"
            value={password}
            onChange={({ target }) => setGiven({ user, password: target.value })}
          />
        </label>
        <button type="submit" className="primary">
          Sign in
        </button>
        <p role="alert">{wrong}</p>
      </form>
    </main>
  );
}
