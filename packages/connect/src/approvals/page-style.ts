/** The one style sheet of the approval page. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --text: #1a1f26; --dim: #566070; --line: #d6dbe2; --link: #0b57c2;
  --good: #12703a; --good-text: #ffffff; --bad: #b3261e; --bad-text: #ffffff; --warn: #fff3d6; --warn-line: #8a5a00; --warn-text: #4d3400;
  --alarm: #fde7e5; --alarm-text: #6d120d; --code: #eef1f5; --odd: #b3261e; --odd-ground: #fde7e5; --focus: #0b57c2;
  --good-ink: #12703a; --added: #dff3e5; --removed: #fde7e5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12151a; --card: #1b2027; --text: #e6e9ee; --dim: #a2acba; --line: #343c47; --link: #8ab8ff;
    --good: #247a48; --good-text: #ffffff; --bad: #c13e35; --bad-text: #ffffff; --warn: #33290f; --warn-line: #d39a2b; --warn-text: #f4dca8;
    --alarm: #3d1715; --alarm-text: #ffc9c4; --code: #242b34; --odd: #ffb0a8; --odd-ground: #4a1f1c; --focus: #8ab8ff;
    --good-ink: #6fcf97; --added: #16351f; --removed: #3d1715;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 8px; top: 8px; background: var(--card); padding: 8px; }
header.top { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: center; padding: 10px 24px; border-bottom: 1px solid var(--line); background: var(--card); }
header.top strong { font-size: 1.05rem; }
header.top nav { display: flex; gap: 16px; flex: 1; }
header.top nav a[aria-current] { color: var(--text); font-weight: 600; text-decoration: none; }
header.top form { display: flex; gap: 12px; align-items: center; color: var(--dim); }
main { max-width: 960px; margin: 0 auto; padding: 20px 24px 64px; }
h1 { font-size: 1.45rem; line-height: 1.25; margin: 8px 0 16px; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 28px 0 8px; overflow-wrap: anywhere; }
.card > h2 { margin-top: 0; }
.sub { font-weight: 400; }
footer { max-width: 960px; margin: 0 auto; padding: 0 24px 32px; color: var(--dim); font-size: .875rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 16px 20px; margin: 12px 0; }
.notice { border-left: 4px solid var(--warn-line); background: var(--warn); color: var(--warn-text); padding: 10px 14px; border-radius: 4px; margin: 12px 0; }
.alarm { border-left: 6px solid var(--bad); background: var(--alarm); color: var(--alarm-text); padding: 12px 16px; border-radius: 4px; margin: 12px 0; }
.alarm strong { font-size: 1.1rem; }
.done { border-left: 4px solid var(--good); background: var(--added); padding: 10px 14px; border-radius: 4px; margin: 12px 0; }
.dim { color: var(--dim); }
.tabs { display: flex; flex-wrap: wrap; gap: 6px; padding: 0; margin: 0 0 12px; list-style: none; }
.tabs a { display: block; padding: 4px 12px; border: 1px solid var(--line); border-radius: 16px; text-decoration: none; background: var(--card); }
.tabs a[aria-current] { border-color: var(--text); color: var(--text); font-weight: 600; }
table.list { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
table.list th, table.list td { text-align: left; padding: 9px 12px; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
table.list th { color: var(--dim); font-weight: 600; font-size: .8125rem; white-space: nowrap; }
table.list tr:last-child td { border-bottom: 0; }
table.list tbody tr:hover { background: var(--code); }
td.when { white-space: nowrap; }
td .sub { display: block; color: var(--dim); font-size: .875rem; }
.state { display: inline-block; padding: 0 8px; border-radius: 10px; border: 1px solid currentColor; font-size: .8125rem; font-weight: 600; white-space: nowrap; }
.state.pending { color: var(--warn-line); } .state.approved, .state.consumed, .state.open { color: var(--good-ink); }
.state.denied, .state.failed, .state.revoked, .state.altered { color: var(--odd); } .state.expired, .state.used, .state.forgotten { color: var(--dim); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; }
dl.facts dt { color: var(--dim); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
code, .mono, ul.tree, textarea.code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--code); padding: 10px 12px; border-radius: 6px; margin: 0; }
ul.tree { list-style: none; margin: 0; padding: 0 0 0 16px; border-left: 1px solid var(--line); }
.card > ul.tree { padding-left: 0; border-left: 0; }
ul.tree li { margin: 2px 0; overflow-wrap: anywhere; }
ul.tree .key { font-weight: 600; white-space: pre-wrap; } ul.tree .key::after, ul.tree .index::after { content: ":"; }
ul.tree .index { color: var(--dim); }
ul.tree .string { white-space: pre-wrap; background: var(--code); border-radius: 4px; padding: 0 4px; }
.string::before { content: "\\201c"; } .string::after { content: "\\201d"; } .string::before, .string::after { color: var(--dim); }
.literal { color: var(--link); }
ul.tree details { display: inline-block; vertical-align: top; max-width: 100%; }
summary { cursor: pointer; color: var(--dim); }
.odd { color: var(--odd); background: var(--odd-ground); border-radius: 3px; padding: 0 2px; font-weight: 600; }
.cut { color: var(--odd); font-style: normal; font-weight: 600; }
label { display: block; font-weight: 600; margin: 10px 0 4px; }
label.check { font-weight: 400; }
input[type=text], input[type=password], input[type=number], select, textarea { width: 100%; font: inherit; color: inherit; background: var(--card); border: 1px solid var(--dim); border-radius: 6px; padding: 8px 10px; }
textarea.code { min-height: 220px; }
.fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 0 16px; }
.buttons { display: flex; flex-wrap: wrap; gap: 12px; margin-top: 14px; align-items: center; }
button { font: inherit; font-weight: 600; padding: 9px 20px; border-radius: 6px; border: 1px solid var(--dim); background: var(--card); color: var(--text); cursor: pointer; }
button.good { background: var(--good); border-color: var(--good); color: var(--good-text); }
button.bad { background: var(--bad); border-color: var(--bad); color: var(--bad-text); }
button.small { padding: 3px 10px; font-weight: 400; }
button:disabled { opacity: .5; cursor: not-allowed; }
details.more { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 20px; margin: 12px 0; }
details.more > summary { color: var(--text); font-weight: 600; }
table.diff { width: 100%; border-collapse: collapse; table-layout: fixed; }
table.diff th, table.diff td { text-align: left; vertical-align: top; padding: 6px 8px; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
table.diff td.before { background: var(--removed); } table.diff td.after { background: var(--added); }
table.diff .string { white-space: pre-wrap; }
table.diff mark { color: inherit; background: none; font-weight: 700; text-decoration: underline 2px; text-underline-offset: 3px; }
.pages { display: flex; gap: 16px; margin-top: 12px; }
.banner { position: sticky; top: 0; z-index: 1; background: var(--alarm); color: var(--alarm-text); padding: 10px 24px; border-bottom: 2px solid var(--bad); font-weight: 600; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
kbd { border: 1px solid var(--line); border-radius: 4px; padding: 0 5px; font-size: .8rem; background: var(--card); }
@media (max-width: 640px) {
  main, header.top, footer { padding-left: 14px; padding-right: 14px; }
  header.top nav { order: 3; flex-basis: 100%; }
  .keys { display: none; }
  dl.facts { grid-template-columns: 1fr; gap: 0; } dl.facts dd { margin-bottom: 8px; }
  table.list thead { position: absolute; clip-path: inset(50%); height: 1px; overflow: hidden; }
  table.list, table.list tbody, table.list tr, table.list td { display: block; }
  table.list tr { padding: 8px 4px; border-bottom: 1px solid var(--line); }
  table.list td { border: 0; padding: 1px 10px; }
  ul.tree details { display: block; margin-left: 8px; }
  .buttons button { flex: 1 1 auto; }
  table.diff, table.diff tbody, table.diff tr, table.diff td, table.diff th { display: block; } table.diff thead { display: none; }
}
@media (prefers-reduced-motion: no-preference) { tr.new { animation: arrive 2s ease-out; } }
@keyframes arrive { from { background: var(--warn); } to { background: transparent; } }
`;

export const PAGE_ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#12703a"/><path d="M4 8.5l2.6 2.6L12 5.5" fill="none" stroke="#fff" stroke-width="2"/></svg>';
