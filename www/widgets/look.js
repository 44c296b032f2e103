/**
 * The widgets' look, as constructed style sheets: a page's content security policy has no say in those. Light or dark is what `color-scheme`
 * is where the widget stands, so a light page has light widgets on a dark system too.
 */

export const LOOK = `
  :host { display: block; margin: 1em 0; padding: 1em 1.2em; border: 1px solid light-dark(#8ea39a, #42564e); background: light-dark(#f8faf7, #141c19);
    color: light-dark(#17211e, #e4ebe6); font: 1.1em/1.6 "Iowan Old Style", "Palatino Linotype", Palatino, P052, Georgia, serif; text-align: start; }
  :host([hidden]), [hidden] { display: none; }
  * { box-sizing: border-box; }
  [contenteditable] { outline: none; color: light-dark(#1d5a4e, #7cc7b4); white-space: pre-wrap; overflow-wrap: anywhere; }
  [contenteditable]:focus-visible { box-shadow: 0 1px 0 currentColor; }
  .own:empty { display: inline-block; min-width: 8em; border-bottom: 1px dotted currentColor; }
  canvas { display: block; width: min(100%, 20rem); margin: 0 auto; background: light-dark(#fffefa, #1a2420); }
  .row { display: flex; flex-wrap: wrap; gap: .3em .6em; align-items: center; margin-top: .8em; }
  button { font: inherit; min-height: 2.4em; padding: .1em 1em; border: 1px solid light-dark(#1d5a4e, #7cc7b4); border-radius: 2px; cursor: pointer;
    background: light-dark(#1d5a4e, #7cc7b4); color: light-dark(#fbfdfb, #0c1512); }
  button:disabled { opacity: .5; cursor: default; }
  :focus-visible { outline: 2px solid light-dark(#a53620, #f08d70); outline-offset: 2px; }
  .unread { margin: .6em 0 0; font-size: .85em; line-height: 1.4; overflow-wrap: anywhere; color: light-dark(#53625c, #9aaba3); }
  .said { flex: 1 1 12em; min-width: 0; font-size: .85em; line-height: 1.4; overflow-wrap: anywhere; color: light-dark(#53625c, #9aaba3); }
  .said.fault { color: light-dark(#a53620, #f08d70); }
  details { margin-top: .5em; font-size: .85em; line-height: 1.4; overflow-wrap: anywhere; color: light-dark(#53625c, #9aaba3); }
  summary { display: list-item; width: fit-content; min-height: 24px; cursor: pointer; }
  details p { margin: .3em 0 0; }
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
