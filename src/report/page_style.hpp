#pragma once
/// How report.html looks, in light and in dark. No font and no picture is fetched.

namespace dtrain::report {

inline constexpr const char* page_style = R"(
:root { --paper:#fff; --ink:#1d2430; --soft:#667085; --line:#e4e7ec; --card:#f8f9fb;
  --a:#2563eb; --b:#e07a1f; --c:#94a3b8; --d:#0f9d76; --good:#0f7b5a; --bad:#c02b2b; --open:#a15c07; }
@media (prefers-color-scheme: dark) { :root { --paper:#14171c; --ink:#e6e9ef; --soft:#98a2b3; --line:#2b313b;
  --card:#1b2027; --a:#6ea0ff; --b:#f2a154; --c:#566173; --d:#46c79f; --good:#46c79f; --bad:#ff7b72; --open:#e8b04b; } }
* { box-sizing:border-box }
body { margin:0; background:var(--paper); color:var(--ink); font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;
  font-variant-numeric:tabular-nums }
main { max-width:1080px; margin:0 auto; padding:32px 20px 64px }
header { display:flex; flex-wrap:wrap; align-items:center; gap:6px 14px; margin-bottom:20px }
header p { flex-basis:100%; margin:0; color:var(--soft) }
h1 { font-size:28px; line-height:1.2; margin:0; letter-spacing:-.01em; overflow-wrap:anywhere }
h2 { font-size:17px; margin:36px 0 12px }
.status { font-size:13px; font-weight:600; padding:2px 10px; border-radius:99px; border:1px solid currentColor }
.status.good { color:var(--good) } .status.bad { color:var(--bad) } .status.open { color:var(--open) }
.tiles { display:grid; grid-template-columns:repeat(auto-fill,minmax(150px,1fr)); gap:12px }
.tile { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:12px 14px }
.tile b { display:block; font-size:22px; font-weight:600; line-height:1.25 }
.tile span { color:var(--soft); font-size:13px }
.figures { display:grid; grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr)); gap:16px }
figure { margin:0; background:var(--card); border:1px solid var(--line); border-radius:10px; padding:12px 12px 8px; max-width:700px }
figcaption { font-weight:600; font-size:14px; padding:0 4px 6px } figcaption small { color:var(--soft); font-weight:400 }
svg { display:block; width:100%; height:auto }
.grid { stroke:var(--line) } .axis { stroke:var(--soft) } .mark { fill:var(--soft); font-size:12px }
polyline { fill:none; stroke-width:1.8; stroke-linejoin:round; stroke-linecap:round }
.line0 { stroke:var(--a) } .line1 { stroke:var(--b) } .line2 { stroke:var(--d) }
.fill0 { fill:var(--a) } .fill1 { fill:var(--b) } .fill2 { fill:var(--d) }
.back0 { background:var(--a) } .back1 { background:var(--b) } .back2 { background:var(--c) }
.legend { display:flex; gap:16px; font-size:13px; color:var(--soft); padding:2px 4px 8px }
.legend i { display:inline-block; width:10px; height:10px; border-radius:2px; margin-right:6px }
table { border-collapse:collapse; width:100%; font-size:14px }
th,td { text-align:left; padding:6px 10px; border-bottom:1px solid var(--line); font-weight:400; white-space:nowrap; vertical-align:middle }
thead th { color:var(--soft); font-size:13px } tbody th { font-weight:500 }
.wide { width:100%; white-space:normal; overflow-wrap:anywhere } .number { text-align:right }
tr.bad td { color:var(--bad) }
.bar { display:flex; height:14px; border-radius:4px; overflow:hidden; background:var(--line); min-width:120px }
.bar i { display:block; height:100% }
details { margin-top:20px; border:1px solid var(--line); border-radius:10px; background:var(--card) }
summary { cursor:pointer; padding:10px 14px; font-weight:600 }
details table { margin:0 0 8px }
pre { margin:0; padding:4px 14px 14px; overflow-x:auto; font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace }
section { overflow-x:auto }
)";

}  // namespace dtrain::report
