// @ts-check

/** The language that each text is taken for; "" where none is. @param {string[]} texts */
export async function languages(texts) {
  const { languageOf } = await import("/page/languages.js");
  return texts.map((text) => languageOf(text) ?? "");
}

/** What is said of a word that is there three times. */
export async function once() {
  const { outside } = await import("/page/world.js");
  const world = { languages: [], words: [], adjectives: new Map(), idle: [] };
  return outside("a zeppelin, a Zeppelin and a zeppelin", world, ["zeppelin", "zeppelin", "zeppelin"]);
}
