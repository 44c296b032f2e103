// @ts-check
import { code, filesOf } from "./common.js";

/** Ids by one name on each kind that has a tokenizer, and one verb that frees each kind. */
export async function freeing() {
  const { Engine } = await import("/vitrine.js");
  const engine = await Engine.create({ device: "cpu" });
  const writer = await engine.load("storyteller");
  const tokenizer = await engine.tokenizer("storyteller");
  const encoder = await engine.load({ files: filesOf("/fixtures/encoders/bert/embed", ["model.safetensors", "config.json", "tokenizer.json"]) }, { kind: "encoder" });
  const painter = await engine.load("illustrator");
  const faces = await engine.load("faces-vae");
  const plain = { addSpecialTokens: false };
  const ids = [await writer.tokenize("a fox", plain), await tokenizer.tokenize("a fox", plain)];
  const marked = await encoder.tokenize("a");
  const texts = [await writer.detokenize(ids[0]), await tokenizer.detokenize(ids[0]), await encoder.detokenize(marked, { skipSpecialTokens: false })];
  const hidden = await encoder.detokenize(marked);
  /** What `await using` calls at the end of a block. @type {typeof Symbol.asyncDispose} */
  const dispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
  await encoder[dispose]();
  await painter[dispose]();
  await tokenizer.close();
  await writer.close();
  await writer.close();
  await faces.close();
  const closed = [
    await code(writer.tokenize("a")),
    await code(tokenizer.tokenize("a")),
    await code(encoder.tokenize("a")),
    await code(painter.generate({ prompt: "a fox" }).picture()),
    await code(faces.decode(new Float32Array(8), [1, 8])),
  ];
  await engine[dispose]();
  closed.push(await code(engine.load("storyteller")));
  return { same: `${ids[0]}` === `${ids[1]}`, texts, hidden, closed };
}
