// @ts-check

/** What the widget of this page writes, once it is asked to by its button. */
export async function written() {
  await customElements.whenDefined("vitrine-text");
  const element = /** @type {import("/widgets.js").VitrineText} */ (document.querySelector("vitrine-text"));
  const { button } = element;
  for (let tries = 0; button.disabled; tries++) {
    if (tries > 1200) throw new Error(`the model did not come: ${element.shadowRoot?.textContent}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const done = new Promise((resolve) => element.addEventListener("done", resolve, { once: true }));
  button.click();
  await done;
  return element.text;
}

/** Puts the focus where words are typed. */
export function focusWords() {
  /** @type {HTMLElement | null | undefined} */ (document.querySelector("vitrine-text")?.shadowRoot?.querySelector(".own"))?.focus();
}
