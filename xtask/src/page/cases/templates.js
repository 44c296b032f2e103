// @ts-check
import { engineOn, filesOf } from "../common.js";

/** The model whose files lie in the folder of a case. @param {string} folder @param {string[]} [more] files beside the usual ones */
async function load(folder, more = []) {
  const names = ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", ...more];
  return (await engineOn("cpu")).load({ files: filesOf(`/cases/${folder}`, names) });
}

/** Date and hour that a template tells in a time zone fourteen hours ahead of UTC, and the clock's before and after. */
export async function localTime() {
  const model = await load("17-strftime");
  const there = () => new Date(Date.now() + 14 * 3600e3).toISOString().slice(0, 13).replace("T", " ");
  const before = there();
  const told = await model.detokenize(await model.tokenize([{ role: "user", content: "a" }]));
  return [told, before, there()];
}

/** @param {{ folder: string, more: string[] }} args */
export async function answers({ folder, more }) {
  const model = await load(folder, more);
  const messages = [{ role: "user", content: "abc" }];
  const answer = await model.chat(messages, { maxTokens: 12, temperature: 0 }).text();
  return [model.info.chat, [...(await model.tokenize(messages))], answer];
}
