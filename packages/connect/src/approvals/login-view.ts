/** What somebody sees who is not logged in. */

import { html, verbatim } from './html.ts';
import { framed } from './layout.ts';

export interface LoginView {
  readonly status: number;
  /** Where to go afterwards; one of our own paths. */
  readonly next: string;
  readonly problem?: string;
  /**
   * The browser came from another site, and kept the cookie to itself (`SameSite=Strict`): the page asks once more, by
   * itself, before it says that nobody is logged in.
   */
  readonly reload: boolean;
}

export function loginPage({ status, next, problem, reload }: LoginView): Response {
  return framed(
    { title: 'Log in', status, reload },
    html`<h1>Log in to answer approvals</h1>
${problem !== undefined && html`<div class="alarm" role="alert">${problem}</div>`}
<form method="post" action="/login" class="card">
<input type="hidden" name="next" value="${verbatim(next)}">
<p id="by-link" hidden>This link logs this browser in, once. Go on only if you opened it from your own terminal just now.</p>
<div id="by-hand">
<p>Calls of guarded agents that need a person are answered here. The terminal in which <code>countersign console</code> runs has the link:
press Enter there for a new one. Each works once, for five minutes.</p>
<label for="code">Code: what stands after <code>#</code> in the link</label>
<input type="password" id="code" name="code" autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="128" required>
</div>
<div class="buttons"><button id="login" class="good">Log in</button></div>
</form>
<p class="dim">Not you who started it? Then close this page: nothing happened.</p>`,
  );
}
