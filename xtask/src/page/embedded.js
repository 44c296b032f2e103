// @ts-check

/**
 * What comes of the `vitrine.js` of an origin ("" for the page's own) with these options: the text, where the bytes came from and how many files
 * are kept, or code and message.
 * @typedef {{ origin: string, options: import("/vitrine.js").EngineOptions }} Tried
 */

/** @param {Tried} args */
export async function tries({ origin, options }) {
  try {
    /** @type {typeof import("/vitrine.js")} */
    const { Engine } = await import(`${origin}/vitrine.js`);
    const engine = await Engine.create({ device: "cpu", ...options });
    /** @type {Set<string>} */
    const from = new Set();
    const load = () => engine.load("storyteller", { onProgress: (step) => from.add(step.from) });
    const first = await load();
    const text = await first.generate("One day", { maxTokens: 8, temperature: 0 }).text();
    await first.unload();
    await load();
    const kept = await engine.cache.list().then(
      (entries) => entries.length,
      ({ code }) => code,
    );
    await engine.close();
    return { text, from: [...from], kept };
  } catch (caught) {
    const { code, name, message } = /** @type {import("/vitrine.js").VitrineError} */ (caught);
    return { code: code ?? name, message };
  }
}

/** The same in a frame, told to its page. @param {Tried} args */
export async function tellsItsPage(args) {
  parent.postMessage({ ...(await tries(args)), origin: self.origin }, "*");
}

/** What the document of a sandboxed frame says to its page. @param {{ attribute: string, value: string }} args */
export async function inFrame({ attribute, value }) {
  const said = new Promise((resolve) => addEventListener("message", ({ data }) => resolve(data), { once: true }));
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.setAttribute(attribute, value);
  document.documentElement.append(frame);
  return await Promise.race([said, new Promise((resolve) => setTimeout(resolve, 60000, "silence"))]);
}

/** Whether the worker's greeting comes from each address. @param {string[]} addresses */
export async function greets(addresses) {
  const { greets } = await import("/reach.js");
  return Promise.all(addresses.map((each) => greets(new URL(each, location.href).href)));
}

/** Brings all that moves to its end. */
export function finishAnimations() {
  for (const each of document.getAnimations()) each.finish();
}

/** Whether the page says that it does not start. */
export function isUnstarted() {
  return Boolean(document.querySelector(".unstarted")?.checkVisibility({ visibilityProperty: true }));
}
