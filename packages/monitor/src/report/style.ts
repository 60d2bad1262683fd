/** How an HTML report looks: on paper, on a phone, in the dark. */

export const STYLE = `
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--line:#d5dae1;--page:#fff;--card:#f5f7f9;--safe:#8b96a3;--flag:#b57a00;--halt:#c4500a;--kill:#c01c28;--good:#1a7f37;--accent:#2158b0}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ed;--soft:#9aa5b1;--line:#39424d;--page:#14181d;--card:#1d232a;--safe:#7d8996;--flag:#e0a526;--halt:#f08a3c;--kill:#ff6b70;--good:#4cc26a;--accent:#7db0ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
main{max-width:980px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.5rem;line-height:1.2;margin:0 0 4px}
h2{font-size:1.12rem;margin:34px 0 10px;padding-bottom:4px;border-bottom:1px solid var(--line)}
p{margin:6px 0}.soft,.empty{color:var(--soft)}
code,.mono{font:.88em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(112px,1fr));gap:8px;margin:16px 0 0;padding:0}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 10px}
.figures dt{color:var(--soft);font-size:.8rem}.figures dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums}
.level{font-weight:700;font-size:.8rem;white-space:nowrap}.t-safe{color:var(--safe)}.t-flag{color:var(--flag)}.t-halt{color:var(--halt)}.t-kill,.t-bad{color:var(--kill)}.t-good{color:var(--good)}
.wide{overflow-x:auto}
svg{display:block;width:100%;height:auto}svg.timeline{min-width:600px}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}svg .label{font-weight:600}svg .middle{text-anchor:middle}svg .end{text-anchor:end}
svg .floor{stroke:var(--line);stroke-width:1}svg .safe{fill:var(--safe)}svg .flag{fill:var(--flag)}svg .halt{fill:var(--halt)}svg .kill{fill:var(--kill)}
svg .line{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}svg circle.line{fill:var(--accent)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(280px,100%),1fr));gap:12px}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px 10px}
figcaption{display:flex;justify-content:space-between;gap:8px;flex-wrap:wrap;font-size:.85rem}.most{color:var(--soft)}
table{border-collapse:collapse;width:100%;font-size:.93em}
th{text-align:left;color:var(--soft);font-weight:600;font-size:.86em;padding:4px 8px 4px 0;border-bottom:1px solid var(--line)}
td{vertical-align:top;padding:5px 8px 5px 0;border-bottom:1px solid var(--line)}
td.number+td,th.number+th{padding-left:12px}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.time{white-space:nowrap;font-variant-numeric:tabular-nums}
.card{border:1px solid var(--line);border-left:4px solid var(--safe);border-radius:6px;padding:8px 12px;margin:8px 0;background:var(--card)}
.card.halt{border-left-color:var(--halt)}.card.kill{border-left-color:var(--kill)}.card.flag{border-left-color:var(--flag)}
.card ol{margin:6px 0 0;padding-left:20px}
ul.limits{padding-left:20px;margin:0}ul.limits li{margin:3px 0}
@media (max-width:640px){
main{padding:14px 12px 36px}
table.stack,table.stack tbody,table.stack tr,table.stack td{display:block}table.stack thead{display:none}
table.stack tr{border-bottom:1px solid var(--line);padding:6px 0}table.stack td{border:0;padding:1px 0;text-align:left;white-space:normal}
table.stack td:empty{display:none}table.stack td[data-name]::before{content:attr(data-name) " ";color:var(--soft);font-size:.8rem}
}
@media print{
:root{--ink:#000;--soft:#444;--line:#bbb;--page:#fff;--card:#fff;--safe:#777;--flag:#8a5d00;--halt:#a03f00;--kill:#a00f18;--good:#0a5a20;--accent:#123f88}
body{font-size:11px}main{max-width:none;padding:0}h2{break-after:avoid}.card,figure,tr{break-inside:avoid}svg.timeline{min-width:0}.wide{overflow:visible}
}
`;
