// The look of the element. A page changes it by CSS variables (`--leader-board-…`), parts and `color-scheme`.

export const STYLE = `
:host {
  --lb-text: var(--leader-board-text, light-dark(#131a28, #eef2f9));
  --lb-soft: var(--leader-board-soft, light-dark(#566379, #9aa6bb));
  --lb-card: var(--leader-board-background, light-dark(#fff, #111622));
  --lb-line: var(--leader-board-line, light-dark(#e2e7f0, #222b3d));
  --lb-edge: var(--leader-board-border, light-dark(#8691a5, #5f6d88));
  --lb-accent: var(--leader-board-accent, light-dark(#2457d6, #8fb4ff));
  --lb-bar: var(--leader-board-bar, light-dark(#7d9ce0, #4a639e));
  --lb-flash: var(--leader-board-flash, light-dark(#d3e4ff, #22375a));
  --lb-good: var(--leader-board-good, light-dark(#086339, #4ade9f));
  --lb-bad: var(--leader-board-bad, light-dark(#a31b14, #ff9a91));
  --lb-warn: var(--leader-board-warn, light-dark(#8a5a00, #f4b95f));
  --lb-row: var(--leader-board-row, 3.2em);
  display: block; position: relative; color: var(--lb-text); font-variant-numeric: tabular-nums; container-type: inline-size;
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
h2, p { margin: 0; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.card {
  position: relative; min-height: max(14em, 2.6em + var(--leader-board-rows, 0) * var(--lb-row), var(--lb-least, 0px)); background: var(--lb-card); overflow: hidden; line-height: 1.4;
  border: 1px solid var(--lb-edge); border-radius: var(--leader-board-radius, 1.1em); box-shadow: var(--leader-board-shadow, none);
}
table, thead, tbody { position: relative; display: block; }
tr { position: relative; display: grid; grid-template-columns: 4.6em minmax(0, 1fr) auto; align-items: center; padding: 0 1.4em; }
thead tr { height: 2.6em; border-bottom: 1px solid var(--lb-line); color: var(--lb-soft); }
th { font-weight: 500; font-size: .8em; text-align: start; padding: 0; }
th:last-child { text-align: end; }
td { padding: 0; }
/* Rows out of sight are neither laid out nor painted. */
tbody tr {
  --lb-way: 90deg; height: var(--lb-row); box-shadow: inset 0 -1px var(--lb-line); isolation: isolate; content-visibility: auto;
  background: linear-gradient(var(--lb-way), color-mix(in srgb, var(--lb-tint, var(--lb-card)) 13%, transparent), transparent 45%), var(--lb-card);
}
/* The line below each row is as long as its part of the best score. */
.bar {
  position: absolute; inset: auto 0 0; height: 2px; z-index: -1; transform: scaleX(0); transform-origin: left;
  background: linear-gradient(var(--lb-way), transparent, var(--lb-tint, var(--lb-bar)));
}
.flash { position: absolute; inset: 0 0 1px; z-index: -1; opacity: 0; background: var(--lb-flash); }
[dir=rtl] tbody tr { --lb-way: 270deg; }
[dir=rtl] .bar { transform-origin: right; }
.rank span:last-child {
  display: inline-grid; place-items: center; min-width: min(2.1em, var(--lb-row) - .35em); height: min(2.1em, var(--lb-row) - .35em); padding: 0 .3em; border-radius: 99px; font-weight: 600;
  color: var(--lb-soft);
}
tr[data-rank="1"] { --lb-tint: var(--leader-board-gold, light-dark(#b98a0a, #f5c451)); }
tr[data-rank="2"] { --lb-tint: var(--leader-board-silver, light-dark(#8592a6, #c2cede)); }
tr[data-rank="3"] { --lb-tint: var(--leader-board-bronze, light-dark(#c67a45, #de9a6a)); }
tr:is([data-rank="1"], [data-rank="2"], [data-rank="3"]) .rank span:last-child { background: var(--lb-tint); color: #1a1406; font-weight: 700; }
tr[aria-current] { outline: 2px solid var(--lb-accent); outline-offset: -2px; z-index: 1; }
tr[aria-current] .name { font-weight: 700; }
.player { display: flex; align-items: center; gap: .8em; min-width: 0; }
.change { display: none; flex: none; width: 3.1em; margin-inline-end: -.6em; font-size: .78em; font-weight: 600; line-height: 1.2; color: var(--lb-soft); }
tbody[data-compared=true] .change { display: block; }
.change[data-way=up] { color: var(--lb-good); }
.change[data-way=down] { color: var(--lb-bad); }
.change[data-way=new] { letter-spacing: -.03em; }
.face {
  flex: none; --lb-face: min(2.3em, var(--lb-row) - .35em);
  display: grid; place-items: center; width: var(--lb-face); height: var(--lb-face); border-radius: 50%; overflow: hidden;
  background: oklch(.52 .11 var(--lb-hue)); color: #fff; font-weight: 600; line-height: 1;
}
.face img { width: 100%; height: 100%; object-fit: cover; }
.name { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 500; unicode-bidi: isolate; }
.open { min-width: 0; padding: 0; border: 0; background: none; font: inherit; color: inherit; text-align: start; cursor: pointer; display: flex; }
.open::after { content: ""; position: absolute; inset: 0; z-index: 1; }
.open:focus-visible { outline: none; }
.open:focus-visible::after { outline: 2px solid var(--lb-accent); outline-offset: -3px; border-radius: .4em; }
tbody tr:has(.open:hover) .name { text-decoration: underline; text-underline-offset: .2em; }
/* It begins at the row's end: whatever it holds, its beginning stays where it is, so that no layout shifts. */
.points { direction: rtl; display: flex; align-items: center; gap: .7em; padding-inline-end: .8em; white-space: nowrap; }
.points > * { direction: ltr; }
[dir=rtl] .points { direction: ltr; }
[dir=rtl] .points > * { direction: rtl; }
.score { font-size: 1.12em; font-weight: 650; letter-spacing: -.01em; unicode-bidi: isolate; }
.gain {
  padding: .05em .5em; border-radius: 99px; font-size: .85em; line-height: 1.5; unicode-bidi: isolate;
  color: var(--lb-bad); background: color-mix(in srgb, currentcolor 10%, var(--lb-card));
}
.gain[data-good=true] { color: var(--lb-good); }
.gain:empty { display: none; }
/* Who it is comes later: the rank is there, and nothing that tells the score. */
tr[data-concealed] :is(.player, .points, .bar) { visibility: hidden; }
/* Not as now: without colour, but as easy to read. */
:host(:not([data-state=live], [data-state=frozen])) tbody { filter: saturate(.15); }
.note {
  display: grid; justify-items: center; align-content: center; gap: .4em; min-height: inherit; padding: 2em 1.2em; text-align: center;
  color: var(--lb-soft);
}
.note h2 { font-size: 1.25em; color: var(--lb-text); letter-spacing: -.01em; text-wrap: balance; }
.foot { display: grid; grid-template-columns: 1fr 1fr; gap: 1em; padding: .5em .2em 0; min-height: 2em; font-size: .82em; color: var(--lb-soft); }
:host(:not([data-state])) .foot, :host([data-state=idle]) .foot { visibility: hidden; }
.foot b { font-weight: 600; }
.foot span { text-align: end; }
.foot b::before {
  content: ""; display: inline-block; width: .6em; height: .6em; margin-inline-end: .5em; border-radius: 50%; background: var(--lb-warn);
}
:host(:is([data-state=live], [data-state=frozen])) .foot b::before { background: var(--lb-good); }
:host([data-state=stopped]) .foot b::before { background: var(--lb-bad); }
@container (max-width: 35em) {
  tr { grid-template-columns: 2.9em minmax(0, 1fr) auto; padding: 0 .9em; }
  .player { gap: .6em; }
  .change { width: 2.5em; margin-inline-end: -.5em; }
  .face { --lb-face: 2em; font-size: .9em; }
  /* Below the score, where no name is. */
  .points { position: relative; height: 100%; padding-inline-end: .6em; }
  .gain { position: absolute; inset-inline-start: 0; top: calc(50% + 1em); padding: 0 .4em; font-size: .72em; line-height: 1.3; }
  tbody[data-long=true] .score { font-size: .85em; letter-spacing: -.02em; }
}
@media (forced-colors: active) {
  .rank span:last-child, .face, .gain { border: 1px solid CanvasText; }
  .foot b::before { forced-color-adjust: none; }
  tbody tr { border-bottom: 1px solid CanvasText; }
}
`;

export const MARKUP = `
<div id="box" part="box">
  <div class="card" part="card">
    <table id="board" role="table" part="table" hidden>
      <thead role="rowgroup" part="head"><tr role="row">
        <th role="columnheader" scope="col"></th><th role="columnheader" scope="col"></th><th role="columnheader" scope="col"></th>
      </tr></thead>
      <tbody id="rows" role="rowgroup" part="rows"></tbody>
    </table>
    <div id="note" class="note" part="note" hidden><h2></h2><p></p><slot name="action"></slot></div>
  </div>
  <p class="foot" part="foot"><b part="state"></b><span></span></p>
  <p id="announcer" class="unseen" role="status" aria-live="polite"></p>
</div>`;
