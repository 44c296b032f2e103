// @ts-check
import { engineOn } from "../common.js";

export async function plainHttp() {
  const engine = await engineOn("cpu");
  const { completions } = engine.chat;
  const asked = { model: "storyteller", messages: [{ role: "user", content: "Tell a story." }], max_tokens: 5 };
  const ids = [];
  for (let round = 0; round < 2; round++) ids.push((await completions.create(asked)).id);
  for await (const { id } of await completions.create({ ...asked, stream: true })) ids[2] = id;
  return { ids, secure: isSecureContext, randomUUID: typeof crypto.randomUUID };
}

/** What it writes, or how it fails, by the `vitrine.js` at this address. @param {string} address */
export async function writes(address) {
  try {
    /** @type {typeof import("/vitrine.js")} */
    const { Engine } = await import(address);
    const engine = await Engine.create({ device: "cpu" });
    const model = await engine.load("storyteller");
    return `OK ${await model.generate("One day", { maxTokens: 5, temperature: 0 }).text()}`;
  } catch (error) {
    return /** @type {Error} */ (error).message;
  }
}

/** Shows a page of the site in a sandbox without an origin. @param {string} address */
export function sandbox(address) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.src = address;
  frame.style.width = "1000px";
  frame.style.height = "800px";
  document.documentElement.append(frame);
}
