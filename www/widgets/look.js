/**
 * The widgets' look, as constructed style sheets: a page's content security policy has no say in those. Light or dark is what `color-scheme`
 * is where the widget stands, so a light page has light widgets on a dark system too; `theme` goes before it. Colours and fonts are custom properties
 * (`--vitrine-…`) that a page may set.
 */

export const LOOK = `
  :host { --_ground: var(--vitrine-ground, light-dark(#f8faf7, #141c19)); --_card: var(--vitrine-card, light-dark(#fffefa, #1a2420));
    --_ink: var(--vitrine-ink, light-dark(#17211e, #e4ebe6)); --_soft: var(--vitrine-soft, light-dark(#53625c, #9aaba3));
    --_line: var(--vitrine-line, light-dark(#8ea39a, #42564e)); --_accent: var(--vitrine-accent, light-dark(#1d5a4e, #7cc7b4));
    --_on-accent: var(--vitrine-on-accent, light-dark(#fbfdfb, #0c1512)); --_alert: var(--vitrine-alert, light-dark(#a53620, #f08d70));
    display: block; margin: 1em 0; padding: 1em 1.2em; border: 1px solid var(--_line); background: var(--_ground); color: var(--_ink);
    font: 1.1em/1.6 var(--vitrine-font, "Iowan Old Style", "Palatino Linotype", Palatino, P052, Georgia, serif); text-align: start; }
  :host([theme="light"]) { color-scheme: light; }
  :host([theme="dark"]) { color-scheme: dark; }
  :host([hidden]), [hidden] { display: none !important; }
  * { box-sizing: border-box; }
  [role="textbox"] { outline: none; color: var(--_accent); white-space: pre-wrap; overflow-wrap: anywhere; }
  [contenteditable]:focus-visible { box-shadow: 0 1px 0 currentColor; }
  .own:empty { display: inline-block; min-width: 8em; border-bottom: 1px dotted currentColor; }
  canvas { display: block; width: min(100%, 20rem); margin: 0 auto; background: var(--_card); }
  .row { display: flex; flex-wrap: wrap; gap: .3em .6em; align-items: center; margin-top: .8em; }
  button { font: inherit; min-height: 2.4em; padding: .1em 1em; border: 1px solid var(--_accent); border-radius: var(--vitrine-radius, 2px); cursor: pointer;
    background: var(--_accent); color: var(--_on-accent); }
  button.plain { background: none; color: var(--_accent); }
  button:disabled { opacity: .5; cursor: default; }
  :focus-visible { outline: 2px solid var(--_alert); outline-offset: 2px; }
  .row:has(.act[hidden]):has(.stop[hidden]):has(.said:empty) { margin: 0; }
  .unread { margin: .6em 0 0; font-size: .85em; line-height: 1.4; overflow-wrap: anywhere; color: var(--_soft); }
  .said { flex: 1 1 12em; min-width: 0; font-size: .85em; line-height: 1.4; overflow-wrap: anywhere; color: var(--_soft); }
  .said.fault { color: var(--_alert); }
  /* Our own words are English, whatever way the page reads. */
  [lang="en"] :is(button, td, th, caption, p, label, summary), [lang="en"]:is(p, dt), .said { unicode-bidi: plaintext; }
  .caption { margin: .8em 0 0; font-size: .9em; line-height: 1.4; color: var(--_soft); overflow-wrap: anywhere; }
  .standin::slotted(*) { display: block; max-width: 100%; height: auto; margin: 0 auto .8em; }
  .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
  details { margin-top: .5em; font-size: .85em; line-height: 1.4; overflow-wrap: anywhere; color: var(--_soft); }
  summary { display: list-item; width: fit-content; min-height: 24px; cursor: pointer; }
  details p { margin: .3em 0 0; }
  @media print {
    .row, .more { display: none; }
    .standin.wanted { display: contents !important; }
  }
`;

/** Tables and bars of those widgets that show numbers. */
export const TABLE = `
  table { width: 100%; margin: .8em 0 0; border-collapse: collapse; font-size: .85em; line-height: 1.4; font-variant-numeric: tabular-nums; }
  caption { text-align: start; color: var(--_soft); padding: 0 0 .3em; }
  th, td { padding: .15em .6em .15em 0; text-align: start; vertical-align: baseline; font-weight: 400; overflow-wrap: anywhere; }
  thead th, thead td { color: var(--_soft); border-bottom: 1px solid var(--_line); }
  td.number, th.number { text-align: end; }
  td.number { white-space: nowrap; }
  th:last-child, td:last-child { padding-inline-end: 0; }
  tr.dropped, tr.dropped th { color: var(--_soft); }
  tr.dropped .word { text-decoration: line-through; }
  tr.taken th { font-weight: 700; }
  .bar { display: block; height: .7em; min-width: 3em; background: linear-gradient(var(--_accent) 0 0) no-repeat 0 0 / calc(100% * var(--share, 0)) 100%; }
  :host(:dir(rtl)) .bar { background-position-x: 100%; }
  tr.dropped .bar { background-image: linear-gradient(var(--_line) 0 0); }
  .mute { color: var(--_soft); }
  th[scope="row"] { overflow-wrap: normal; }
  @media (max-width: 30em) {
    .bars { display: none; }
    td.why { white-space: normal; overflow-wrap: normal; }
    table { font-size: .8em; }
    th, td { padding-inline-end: .4em; }
  }
  @media (forced-colors: active) {
    .bar { forced-color-adjust: none; background-image: linear-gradient(CanvasText 0 0); }
    tr.dropped .bar { background-image: linear-gradient(GrayText 0 0); }
  }
`;

/** Tokens in a row, each in a colour of its own or as deep as it is surprising, and words beside buttons. */
export const PIECES = `
  .text { white-space: pre-wrap; overflow-wrap: anywhere; }
  .pieces { display: flex; flex-wrap: wrap; gap: .3em .15em; margin: .8em 0 0; padding: 0; list-style: none; }
  .numbered .piece { display: inline-flex; flex-direction: column; }
  .piece { padding: 0 .25em; border-radius: var(--vitrine-radius, 2px); background: var(--_hue, transparent); color: var(--_ink); white-space: pre-wrap; }
  .piece small { font-size: .7em; line-height: 1.3; color: inherit; font-variant-numeric: tabular-nums; }
  .hue-0 { --_hue: light-dark(#cfe6dc, #1f4a3d); }
  .hue-1 { --_hue: light-dark(#f6dcc8, #5a3a22); }
  .hue-2 { --_hue: light-dark(#d8e0f5, #2d3b66); }
  .hue-3 { --_hue: light-dark(#f3e6b3, #524611); }
  .hue-4 { --_hue: light-dark(#ecd7ee, #4f2f55); }
  button.pick { min-height: 24px; min-width: 24px; padding: 0 .3em; text-align: start; }
  button.piece { border: 0; background: var(--_hue); color: var(--_ink); }
  .sum { margin: .6em 0 0; font-size: .85em; line-height: 1.4; color: var(--_soft); }
  .left { margin-top: .6em; font-size: .85em; line-height: 1.4; color: var(--_soft); }
  .left p { margin: 0; }
  .left ul { display: flex; flex-wrap: wrap; gap: .3em; margin: .3em 0 0; padding: 0; list-style: none; }
  @media (forced-colors: active) { .piece { border: 1px solid CanvasText; } }
`;

/** Labelled sliders. */
export const SLIDERS = `
  .settings { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9em), 1fr)); gap: .4em 1.2em; margin-top: .8em; font-size: .85em; line-height: 1.4; }
  .settings label { display: flex; justify-content: space-between; gap: .6em; }
  input[type="range"] { width: 100%; min-height: 24px; margin: 0; accent-color: var(--_accent); }
  output { font-variant-numeric: tabular-nums; color: var(--_soft); }
`;

/** A sheet belongs to the document that made it. @type {WeakMap<Document, Map<string, CSSStyleSheet>>} */
const made = new WeakMap();

/**
 * Gives a shadow root these looks; where its document has none (it is in no window), it stays plain.
 * @param {ShadowRoot} root
 * @param {string[]} looks
 */
export function dress(root, looks) {
  const Sheet = root.ownerDocument.defaultView?.CSSStyleSheet;
  if (!Sheet || !("adoptedStyleSheets" in root)) return;
  const sheets = made.get(root.ownerDocument) ?? new Map();
  made.set(root.ownerDocument, sheets);
  root.adoptedStyleSheets = looks.map((css) => {
    const sheet = sheets.get(css) ?? new Sheet();
    if (!sheets.has(css)) sheet.replaceSync(css);
    sheets.set(css, sheet);
    return sheet;
  });
}
