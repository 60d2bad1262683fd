/**
 * What the page does beyond plain forms: it takes the login code out of the link, follows the ledger, counts down, and moves
 * through the list by keys. Everything it shows comes from the server as markup that was escaped there.
 */
export const PAGE_SCRIPT: string = String.raw`'use strict';
(() => {
  const POLL_MS = 1000;
  const find = (selector) => document.querySelector(selector);

  const code = find('#code');
  if (code !== null && location.hash.length > 1) {
    code.value = location.hash.slice(1);
    // Out of the address bar: it works once, and need not be seen by anybody.
    history.replaceState(null, '', location.pathname + location.search);
    find('#by-hand').hidden = true;
    find('#by-link').hidden = false;
    find('#login').focus();
  }

  let asked = '';
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (form.dataset.sent === 'yes') { event.preventDefault(); return; }
    form.dataset.sent = 'yes';
    // Later: a disabled button would not be sent.
    setTimeout(() => { for (const button of form.querySelectorAll('button')) button.disabled = true; }, 0);
  });
  // Back from the next page: the form may be sent again.
  addEventListener('pageshow', () => {
    for (const form of document.forms) {
      delete form.dataset.sent;
      for (const button of form.querySelectorAll('button:not([data-off])')) button.disabled = false;
    }
  });

  const span = (ms) => {
    const seconds = Math.max(0, Math.ceil(ms / 1000));
    if (seconds < 120) return seconds + ' s';
    const minutes = Math.floor(seconds / 60);
    return minutes < 120 ? minutes + ' min' : Math.floor(minutes / 60) + ' h ' + (minutes % 60) + ' min';
  };
  const countDown = () => {
    let isOver = false;
    for (const time of document.querySelectorAll('time[data-expires]')) {
      const left = Number(time.dataset.expires) - Date.now();
      const text = left <= 0 ? 'expired' : 'in ' + span(left);
      if (time.textContent !== text) time.textContent = text;
      if (left <= 0 && time.dataset.over === undefined) { time.dataset.over = 'yes'; isOver = true; }
    }
    if (isOver) void refresh();
  };

  const banner = (text) => {
    const place = find('#banner');
    place.textContent = text;
    place.hidden = text === '';
    for (const button of document.querySelectorAll('button[data-answer]:not([data-off])')) button.disabled = text !== '';
  };

  const say = (text) => { find('#said').textContent = text; };
  const typed = (part) => [...part.querySelectorAll('textarea, input[type=text], input[type=number]')].some((field) => field.value !== field.defaultValue);

  async function refresh() {
    const response = await fetch(location.href, { headers: { 'x-countersign-live': '1' }, cache: 'no-store' });
    if (!response.ok || response.redirected) return;
    const next = new DOMParser().parseFromString(await response.text(), 'text/html');
    document.title = next.title;
    for (const part of document.querySelectorAll('[data-live]')) {
      const fresh = next.getElementById(part.id);
      if (fresh === null || fresh.outerHTML === part.outerHTML) continue;
      // Not under the hands of somebody who writes, unless the question itself is gone.
      if (part.dataset.live === fresh.dataset.live && typed(part)) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement.id : '';
      const known = new Set([...part.querySelectorAll('tr[id]')].map((row) => row.id));
      part.replaceWith(document.adoptNode(fresh));
      if (focused !== '') document.getElementById(focused)?.focus();
      const rows = [...fresh.querySelectorAll('tr[id]')].filter((row) => !known.has(row.id));
      for (const row of rows) row.classList.add('new');
      if (rows.length > 0) say(rows.length === 1 ? '1 new approval' : rows.length + ' new approvals');
    }
    countDown();
  }

  async function follow() {
    try {
      const response = await fetch('/version', { cache: 'no-store' });
      if (response.status === 401) { banner('You are logged out. Press Enter in the terminal of countersign console for a new link.'); return; }
      const version = await response.text();
      banner('');
      if (asked === '') asked = document.body.dataset.version;
      if (version !== asked) { asked = version; await refresh(); }
    } catch {
      banner('The console does not answer. What you see may be out of date: run countersign console again.');
    }
    setTimeout(follow, POLL_MS);
  }

  if (document.body.dataset.version !== undefined) {
    setTimeout(follow, POLL_MS);
    setInterval(countDown, 1000);
    countDown();
  }

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, textarea, select') !== null) return;
    const links = [...document.querySelectorAll('table.list tbody a')];
    const at = links.indexOf(document.activeElement);
    const keys = {
      j: () => links[Math.min(at + 1, links.length - 1)]?.focus(),
      k: () => links[Math.max(at - 1, 0)]?.focus(),
      u: () => find('#up')?.click(),
      m: () => { find('#message')?.focus(); event.preventDefault(); },
      e: () => { const more = find('#edit'); if (more !== null) { more.open = true; more.querySelector('textarea').focus(); event.preventDefault(); } },
    };
    if (Object.hasOwn(keys, event.key)) keys[event.key]();
  });
})();
`;
