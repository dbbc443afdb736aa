"""The page's looks: light and dark, from a phone's width to a wide screen, and on paper."""

from bitwright.report.html import Html

STYLE = Html(
    """
:root {
  color-scheme: light dark;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "Liberation Mono", monospace;
  --page: #f5f6f9; --surface: #ffffff; --soft: #f0f2f6; --line: #dce0e8;
  --text: #1a2230; --muted: #566072; --accent: #1f54c4;
  --binary: #2f6bd8; --integer: #c05a12; --good: #17774a; --bad: #bb2a3a;
  --counted: #1f54c4; --simulated: #0b7073; --synthesised: #7440b8; --estimated: #94560a;
  --heat-0: #ffffff; --heat-1: #e9f1fd; --heat-2: #cfe1fb; --heat-3: #b0cdf7; --heat-4: #2f66c8;
  --heat-5: #123a8c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151c; --surface: #191f29; --soft: #222a36; --line: #313b4a;
    --text: #e6eaf1; --muted: #a4aebe; --accent: #8fb6ff;
    --binary: #6d9ff5; --integer: #ee9a55; --good: #5fcb94; --bad: #ff8d93;
    --counted: #8fb6ff; --simulated: #5ccdd0; --synthesised: #c5a0ff; --estimated: #eab45c;
    --heat-0: #191f29; --heat-1: #1e2f4d; --heat-2: #213f75; --heat-3: #234a90; --heat-4: #2655ab;
    --heat-5: #2f6fe0;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 var(--font); }
main, header > div, footer { max-width: 76rem; margin: 0 auto;
  padding: 0 clamp(.75rem, 3vw, 2rem); }
header { background: var(--surface); border-bottom: 1px solid var(--line); padding: 1.75rem 0 0; }
footer { color: var(--muted); font-size: .85rem; padding-block: 1rem 2rem; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 0 0 .75rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
h3.group { font-size: 1.1rem; border-top: 2px solid var(--line); padding-top: 1rem;
  margin-top: 1.5rem; }
h1, h2, h3, p, figcaption, caption { overflow-wrap: anywhere; }
p { margin: 0 0 .75rem; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
code, pre { font-family: var(--mono); font-size: .9em; }
.brand { color: var(--muted); font-size: .8rem; letter-spacing: .06em; text-transform: uppercase;
  margin: 0 0 .35rem; }
.about { color: var(--muted); margin: 0; overflow-wrap: anywhere; }
.about code, td code, th code { color: inherit; }
.digest { border-bottom: 1px dotted; cursor: help; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: .9rem 0; font-size: .9rem; }
nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
section { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem;
  padding: clamp(.9rem, 2.5vw, 1.5rem); margin: 1.25rem 0; scroll-margin-top: 1rem; }
section.bare { background: none; border: 0; padding: 0; }
.note, figcaption, caption { color: var(--muted); font-size: .875rem; text-align: left; }
caption { padding-bottom: .5rem; }
caption > span { display: block; position: sticky; left: 0; max-width: 100cqi; }
figcaption { margin-top: .35rem; }
figure + .scroll { margin-top: 1.25rem; }
.tiles { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(9.75rem, 100%), 1fr)); }
.tile { background: var(--surface); border: 1px solid var(--line); border-radius: .75rem;
  padding: .9rem 1rem; }
.tile p { margin: 0; }
.tile .name { color: var(--muted); font-size: .875rem; overflow-wrap: anywhere; }
.tile .value { font-size: clamp(1.3rem, 4.5vw, 1.6rem); font-weight: 650; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tile .value small { white-space: nowrap; font-size: .9rem; font-weight: 400; color: var(--muted); }
.tile .more { color: var(--muted); font-size: .8rem; margin-bottom: .3rem; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 1rem;
  padding: 0 .55em; font-size: .75rem; line-height: 1.5; white-space: nowrap; }
.badge.counted { color: var(--counted); } .badge.simulated { color: var(--simulated); }
.badge.synthesised { color: var(--synthesised); }
.badge.estimated { color: var(--estimated); border-style: dashed; }
.scroll { overflow-x: auto; max-width: 100%; margin-bottom: .75rem; container-type: inline-size; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .4rem .75rem .4rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--muted); font-weight: 600; white-space: nowrap; vertical-align: bottom; }
tbody th { font-weight: 500; } tfoot th, tfoot td { font-weight: 650; border-bottom: 0; }
.number + :not(.number) { padding-left: .5rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.source { color: var(--muted); font-size: .85em; display: block; white-space: normal; }
.hash { overflow-wrap: anywhere; }
.whole { white-space: nowrap; }
.origin { display: block; min-width: 13rem; }
.meter { display: inline-block; width: 4rem; height: .5rem; margin-right: .5rem;
  border-radius: .25rem; background: var(--soft); vertical-align: middle; overflow: hidden; }
.meter > span { display: block; height: 100%; background: var(--binary); }
.meter.integer > span { background: var(--integer); }
.methods { display: grid; grid-template-columns: max-content 1fr; gap: .25rem .75rem; margin: 0;
  font-size: .85rem; color: var(--muted); }
.methods dd { margin: 0; }
.two { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); }
.two > *, .tiles > *, .samples > * { min-width: 0; }
figure { margin: 0; } .plot { width: 100%; }
.legend { display: inline-block; width: .7em; height: .7em; border-radius: .15em;
  margin: 0 .3em 0 .15em; }
.legend.binary { background: var(--binary); } .legend.integer { background: var(--integer); }
details { margin-top: .5rem; } summary { cursor: pointer; color: var(--accent); font-size: .9rem;
  padding: .25rem 0; }
.samples { display: grid; gap: .75rem; list-style: none; margin: 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(16.5rem, 100%), 1fr)); }
.sample { display: flex; gap: .75rem; border: 1px solid var(--line); border-radius: .6rem;
  padding: .65rem; border-left: 4px solid var(--good); }
.sample.wrong { border-left-color: var(--bad); }
.sample img { width: 6rem; height: 6rem; object-fit: contain; flex: none; border-radius: .25rem;
  background: var(--soft); image-rendering: pixelated; }
.sample .facts { flex: 1; min-width: 0; font-size: .85rem; line-height: 1.4; }
.sample p { margin: 0 0 .15rem; overflow-wrap: anywhere; }
.sample .index, .sample .mark { white-space: nowrap; }
.sample .index { color: var(--muted); }
.mark { margin-right: .6em; font-weight: 650; color: var(--good); }
.wrong .mark { color: var(--bad); }
.scores { list-style: none; margin: .35rem 0 0; padding: 0; font-size: .75rem; line-height: 1.3; }
.scores li { display: grid; grid-template-columns: 1fr max-content; column-gap: .5rem;
  margin-bottom: .2rem; }
.scores .who { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.scores .how { font-variant-numeric: tabular-nums; }
.scores .bar { grid-column: 1 / -1; height: .3rem; border-radius: .15rem; background: var(--soft);
  overflow: hidden; }
.scores .bar > span { display: block; height: 100%; background: var(--muted); }
.scores .true .bar > span { background: var(--good); } .scores .true .who { font-weight: 650; }
pre { background: var(--soft); border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 1rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { section, .tile { break-inside: avoid; } nav { display: none; } }
"""
)
