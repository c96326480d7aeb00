"""The look of report.html: one style sheet, light and dark as the reader's system asks."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf9f7; --card: #ffffff; --ink: #1c1917; --soft: #78716c; --line: #e7e5e4;
  --accent: #2563eb; --bar: #bfdbfe; --shadow: 0 1px 2px rgb(0 0 0 / .05), 0 4px 16px rgb(0 0 0 / .04);
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #151312; --card: #1f1c1a; --ink: #f5f5f4; --soft: #a8a29e; --line: #35302d;
    --accent: #60a5fa; --bar: #1e3a5f; --shadow: none;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 56px 24px 72px; }
header { margin-bottom: 36px; }
.over { color: var(--accent); font-size: 13px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; }
h1 { margin: 6px 0 10px; font-size: clamp(30px, 5vw, 44px); line-height: 1.12; letter-spacing: -.025em; }
.lead { margin: 0; max-width: 46em; color: var(--soft); font-size: 19px; }
.lead b { color: var(--ink); font-weight: 600; }
h2 { margin: 44px 0 14px; font-size: 21px; letter-spacing: -.01em; }
h3 { margin: 20px 0 8px; font-size: 16px; }
.note { margin: 10px 0 0; color: var(--soft); font-size: 14px; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 14px; box-shadow: var(--shadow);
  padding: 22px 24px; overflow-x: auto;
}
.facts { display: flex; flex-wrap: wrap; gap: 14px; }
.fact { flex: 1 1 calc((100% - 14px * (var(--columns) - 1)) / var(--columns)); padding: 16px 15px; overflow: visible; }
.fact .name { color: var(--soft); font-size: 13px; }
.fact .value { margin-top: 2px; font-size: 25px; font-weight: 650; letter-spacing: -.02em; }
.fact .value small { color: var(--soft); font-size: 15px; font-weight: 500; letter-spacing: 0; white-space: nowrap; }
.fact .more { color: var(--soft); font-size: 13px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-size: 13px; font-weight: 500; padding: 0 12px 8px; text-align: right; }
thead th { white-space: nowrap; }
tbody th, tbody td { padding: 9px 12px; border-top: 1px solid var(--line); text-align: right; white-space: nowrap; }
tbody th { text-align: left; padding-left: 0; font-weight: 400; }
tr.own th, tr.own td { font-weight: 650; }
tr.part th, tr.part td { color: var(--soft); font-size: 14px; padding-top: 5px; padding-bottom: 5px; border-top: 0; }
tr.part th { padding-left: 18px; }
td.scale { width: 34%; min-width: 160px; padding-right: 0; }
.track { height: 10px; border-radius: 5px; background: var(--line); overflow: hidden; }
.track i { display: block; height: 100%; border-radius: 5px; background: var(--bar); }
tr.own .track i { background: var(--accent); }
img.curves { display: block; width: 100%; height: auto; }
.films { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 18px; }
figure { margin: 0; }
figure video, figure img { display: block; width: 100%; max-width: 720px; margin: 0 auto; border-radius: 10px; }
figcaption { margin-top: 10px; color: var(--soft); font-size: 14px; text-align: center; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 0 32px; margin: 0; }
dl div { display: flex; justify-content: space-between; gap: 16px; padding: 6px 0; }
dl div { border-bottom: 1px solid var(--line); }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
code { font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { margin-top: 48px; color: var(--soft); font-size: 14px; }
@media (max-width: 900px) { .fact { flex-basis: 40%; } }
@media (max-width: 600px) {
  main { padding: 32px 14px 48px; }
  .card { padding: 16px 14px; }
  thead { display: none; }
  table, tbody, tr, tbody th, tbody td { display: block; width: auto; }
  tbody tr { padding: 10px 0; border-top: 1px solid var(--line); }
  tbody tr:first-child { padding-top: 0; border-top: 0; }
  tbody tr.part { padding: 4px 0 4px 18px; border-top: 0; }
  tbody th, tbody td, tr.part th, tr.part td { padding: 2px 0; border: 0; }
  tbody th { font-weight: 650; }
  tbody td { display: flex; justify-content: space-between; gap: 16px; white-space: normal; }
  tbody td:empty { display: none; }
  tbody td::before { content: attr(data-column); color: var(--soft); font-weight: 400; text-align: left; }
  td.scale { width: auto; min-width: 0; padding-top: 6px; }
  td.scale::before { content: none; }
  .track { flex: 1; }
  dl { grid-template-columns: 1fr; }
}
@media print { .card { box-shadow: none; break-inside: avoid; } main { padding-top: 0; } }
"""
