// @ts-check
import { engineOn } from "./common.js";

/** What `vitrine.js` writes where nothing was bundled. */
export async function text() {
  const engine = await engineOn("cpu");
  const model = await engine.load("storyteller");
  const text = await model.generate("One day", { maxTokens: 8, temperature: 0 }).text();
  await engine.close();
  return text;
}
