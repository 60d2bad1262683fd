/** The frame around every view. */
import { answered } from './gate.ts';
import { type Html, html } from './html.ts';

export interface Frame {
  readonly title: string;
  readonly status?: number;
  /** Who answers here; absent before a login. */
  readonly approver?: string;
  readonly here?: 'approvals' | 'grants';
  /** What the ledger was when this was read: the page asks again when it changes. */
  readonly version?: string;
  /** Another try in a moment, by the page itself. */
  readonly reload?: boolean;
}

export function framed(frame: Frame, main: Html, headers: Readonly<Record<string, string>> = {}): Response {
  const { title, status = 200, approver, here, version, reload = false } = frame;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${reload && html`<meta http-equiv="refresh" content="0">`}
<title>${title} · Countersign</title>
<link rel="stylesheet" href="/page.css">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<script src="/page.js" defer></script>
</head>
<body${version !== undefined && html` data-version="${version}"`}>
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<strong>Countersign</strong>
${
  approver !== undefined &&
  html`<nav aria-label="Pages">${tab('approvals', 'Approvals', here)}${tab('grants', 'Grants', here)}</nav>
<form method="post" action="/logout"><span>answering as <span class="mono">${approver}</span></span><button class="small">Log out</button></form>`
}
</header>
<div id="banner" class="banner" role="alert" hidden></div>
<p id="said" class="visually-hidden" role="status"></p>
<main id="main">
${main}
</main>
</body>
</html>
`;
  return answered(page.toString(), 'text/html', status, headers);
}

function tab(name: 'approvals' | 'grants', title: string, here: Frame['here']): Html {
  return html`<a href="/${name}"${name === here && html` aria-current="page"`}>${title}</a>`;
}

const MS_PER_S = 1_000;
const MS_PER_MIN = 60_000;
const MS_PER_H = 3_600_000;

export function span(ms: number): string {
  const left = Math.max(0, ms);
  if (left < 120 * MS_PER_S) return `${Math.ceil(left / MS_PER_S)} s`;
  if (left < 120 * MS_PER_MIN) return `${Math.floor(left / MS_PER_MIN)} min`;
  return `${Math.floor(left / MS_PER_H)} h ${Math.floor((left % MS_PER_H) / MS_PER_MIN)} min`;
}

/** ISO 8601 to the second; rows may hold any number. */
export function instant(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : `${date.toISOString().slice(0, 19)}Z`;
}

/** Counted down by the script; without it the time of expiry stands beside it. */
export function expiry(expiresAtMs: number, nowMs: number): Html {
  const left = expiresAtMs - nowMs;
  return html`<time data-expires="${expiresAtMs}" datetime="${instant(expiresAtMs)}">${left <= 0 ? 'expired' : `in ${span(left)}`}</time>`;
}
