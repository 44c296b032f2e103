// An application as any: the API by its package's name, a widget, models of each kind that come along.
import { Engine } from "vitrine";
import { define } from "vitrine/widgets";

const ready = new Promise((resolve) => document.querySelector("vitrine-text").addEventListener("ready", () => resolve("ready")));
// Rollup puts what a widget shares with this module into this module's own chunk: a module that waits at its top level for a widget would wait for itself.
async function run() {
  try {
    const engine = await Engine.create({ device: "cpu" });
    const writer = await engine.load("storyteller");
    const text = await writer.generate("One day", { maxTokens: 8, temperature: 0 }).text();
    const painter = await engine.load("illustrator");
    const { width } = await painter.generate({ prompt: "a fox", steps: 1, seed: 1 }).picture();
    const faces = await engine.load("faces-gan");
    const [Text] = await define("vitrine-text");
    const widget = [Text.name.length > 0, await ready];
    document.title = `OK ${JSON.stringify({ text, width, faces: faces.info.kind, widget })}`;
  } catch (error) {
    document.title = `ERR ${error.code ?? error.name}: ${error.message}`;
  }
}

run();
