// An application as a classic script, which knows no address of its own: options.json may say where a whole copy of Vitrine lies.
import { Engine } from "vitrine";
import options from "./options.json";

(async () => {
  try {
    const engine = await Engine.create(options);
    const model = await engine.load("storyteller");
    document.title = `OK ${await model.generate("One day", { maxTokens: 8, temperature: 0 }).text()}`;
  } catch (error) {
    document.title = `ERR ${error.code}: ${error.message}`;
  }
})();
