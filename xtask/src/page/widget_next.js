// @ts-check
import { comesTrue, element, mountWidgets, scripted } from "./common.js";

/** @typedef {import("../../../www/widgets.js").VitrineNext} VitrineNext */
/** @typedef {import("../../../www/widgets.js").VitrineTokens} VitrineTokens */
/** @typedef {import("../../../www/widgets.js").VitrineScore} VitrineScore */
/** @typedef {import("../../../www/widgets.js").VitrineDecoding} VitrineDecoding */

async function storyteller() {
  const { pageEngine } = await import("/engine.js");
  return (await pageEngine()).load("storyteller", { kind: "text" });
}

/** Tokens of a text: the model's own numbers, pieces that make up the text, and new ones while it is typed. A second tokenizer cuts the same text otherwise. */
export async function tokens() {
  const files = scripted("{{ messages[0]['content'] }}", { "<|go|>": "The fox could not sleep." });
  const other = URL.createObjectURL(files["tokenizer.json"]);
  const words = "The  fox, naïve & 🦊";
  /** @type {VitrineTokens[]} */
  const [widget, beside] = await mountWidgets(`<vitrine-tokens id="t"></vitrine-tokens><vitrine-tokens linked-to="t" model="${other}#tokenizer.json"></vitrine-tokens>`, "vitrine-tokens");
  await comesTrue(() => widget.tokens.length > 0);
  const own = widget.inner("own");
  own.textContent = words;
  own.dispatchEvent(new InputEvent("input"));
  await comesTrue(() => widget.tokens.map(({ text }) => text).join("").startsWith("The  fox"));
  const model = await storyteller();
  const ids = [...(await model.tokenize(words))].slice(-widget.tokens.length);
  await model.unload();
  await comesTrue(() => beside.tokens.length > 0 || beside.inner("said").classList.contains("fault"));
  const items = [...widget.inner("pieces").querySelectorAll("li")];
  const seen = {
    same: widget.tokens.map(({ token }) => token).join() === ids.join(),
    whole: widget.tokens.map(({ text }) => text).join("").replaceAll("\ufffd", "").startsWith("The  fox, na"),
    shown: items.length === ids.length && items.every((item, at) => item.querySelector("small")?.textContent === String(ids[at])),
    sum: widget.inner("sum").textContent?.startsWith(`${ids.length} tokens for ${[...words].length} characters`),
    beside: [beside.words === words, beside.tokens.length, beside.inner("said").textContent],
  };
  widget.words = "";
  await comesTrue(() => widget.tokens.length === 0);
  return { ...seen, none: [widget.inner("pieces").hidden, widget.inner("sum").textContent?.startsWith("0 tokens for 0 characters")] };
}

/** What comes next: the engine's own numbers; what each slider removes; picks, ways back, and draws. */
export async function next() {
  /** @type {VitrineNext[]} */
  const [widget] = await mountWidgets('<vitrine-next prompt="One winter day, a fox was" candidates="6" temperature="0.8" seed="5"></vitrine-next>', "vitrine-next");
  await comesTrue(() => widget.trace);
  const model = await storyteller();
  const expected = await model.next("One winter day, a fox was", { k: 6 });
  await model.unload();
  const rows = () => [...widget.inner("candidates").querySelectorAll("tbody tr")];
  const first = widget.trace?.candidates ?? [];
  const same = expected.every(({ token, logprob }, at) => first[at].token === token && Math.abs(first[at].logprob - logprob) < 1e-3) && rows().length === 6;
  /** @param {string} name @param {string} value */
  const slide = async (name, value) => {
    const input = /** @type {HTMLInputElement} */ (widget.inner(`slide-${name}`));
    const before = widget.trace;
    input.value = value;
    input.dispatchEvent(new Event("input"));
    await comesTrue(() => widget.trace !== before);
    return rows().map((row) => row.querySelector("td:last-child")?.textContent?.replace(/^[\d.<> %]+$/, "") ?? "");
  };
  const filters = {
    topK: await slide("top-k", "2"),
    off: await slide("top-k", "0"),
    topP: (await slide("top-p", "0.05")).slice(0, 3),
    minP: ((await slide("top-p", "1")) && (await slide("min-p", "0.5"))).slice(-1),
    greedy: ((await slide("min-p", "0")) && (await slide("temperature", "0"))).slice(0, 2),
    said: widget.inner("sum").textContent,
    attribute: widget.getAttribute("top-k"),
  };
  await slide("temperature", "1");
  const press = async (/** @type {HTMLElement | null | undefined} */ button) => {
    const before = widget.trace;
    button?.click();
    await comesTrue(() => widget.trace !== before);
  };
  const [one, two] = [first[0].text, first[1].text];
  await press(rows()[0].querySelector("button"));
  const picked = widget.text === `One winter day, a fox was${one}`;
  await press(rows()[0].querySelector("button"));
  const path = widget.text;
  const pieces = () => [...widget.inner("story").querySelectorAll("button")];
  await press(pieces()[0]);
  const back = widget.text;
  await press(rows()[1].querySelector("button"));
  const branched = widget.text === `One winter day, a fox was${two}`;
  await press(widget.inner("left").querySelector("button"));
  const returned = widget.text === path;
  const kept = widget.inner("left").querySelectorAll("button").length;
  // Drawn by the same seed, the same token comes as from the model itself.
  const drawn = await widget.draw();
  widget.words = "Once upon a time";
  await comesTrue(() => widget.text === "Once upon a time" && pieces().length === 0);
  return { same, filters, picked, back, branched, returned, kept, grown: drawn.startsWith(path) && drawn.length > path.length };
}

/** Where a model ends its text, the table says so and what would come. */
export async function ended() {
  const model = await storyteller();
  const story = await model.generate("One winter day, a fox", { temperature: 0, maxTokens: 480 }).text();
  await model.unload();
  /** @type {VitrineNext[]} */
  const [widget] = await mountWidgets("<vitrine-next temperature='0'></vitrine-next>", "vitrine-next");
  widget.prompt = `One winter day, a fox${story}`;
  await comesTrue(() => widget.trace && widget.inner("sum").textContent?.startsWith("Here the model ends"));
  const before = widget.text;
  const drawn = await widget.draw();
  return { rows: widget.inner("candidates").querySelectorAll("tbody tr").length, same: drawn === before, said: widget.inner("sum").textContent };
}

/** How surprising texts are: the engine's own numbers, and a verdict. */
export async function score() {
  const [first, second] = ["One winter day, a fox was out in the snow.", "One winter day, a snow was out in the fox."];
  /** @type {VitrineScore[]} */
  const [widget] = await mountWidgets(`<vitrine-score prompt="${first}" other="${second}"></vitrine-score>`, "vitrine-score");
  const scores = await widget.score();
  const model = await storyteller();
  const expected = [await model.score(first), await model.score(second)];
  await model.unload();
  const near = scores.every(({ perplexity }, at) => Math.abs(perplexity / expected[at].perplexity - 1) < 1e-4);
  const verdict = widget.inner("verdict").textContent;
  const pieces = [...widget.inner("second-result").querySelectorAll(".piece")];
  const deep = (/** @type {Element} */ piece) => Number(/** @type {HTMLElement} */ (piece).style.getPropertyValue("--surprise"));
  const deepest = pieces.reduce((most, piece) => (deep(piece) > deep(most) ? piece : most)).textContent;
  const rows = widget.inner("first-result").querySelectorAll("tbody tr").length;
  const marks = pieces.some((piece) => piece.textContent?.includes("<|"));
  const own = widget.inner("other");
  own.textContent = first;
  own.dispatchEvent(new InputEvent("input"));
  const cleared = [widget.scores.length, widget.inner("verdict").hidden, widget.inner("first-result").childElementCount];
  await widget.score();
  const even = widget.inner("verdict").textContent?.startsWith("To the model both are as likely");
  widget.removeAttribute("other");
  const one = await widget.score();
  return { near, verdict: verdict?.startsWith("To the model the first is the likelier"), deepest, rows: rows >= pieces.length, marks, cleared, even, one: [one.length, widget.inner("verdict").hidden, widget.inner("second").hidden] };
}

/** One beginning in four ways: what the engine writes in each, and the table of the beams. */
export async function decoding() {
  /** @type {VitrineDecoding[]} */
  const [widget] = await mountWidgets('<vitrine-decoding prompt="One winter day, a fox" max-tokens="12" beams="3" seed="9"></vitrine-decoding>', "vitrine-decoding");
  const texts = await widget.write();
  const model = await storyteller();
  const prompt = "One winter day, a fox";
  const own = {
    greedy: await model.generate(prompt, { maxTokens: 12, temperature: 0 }).text(),
    nucleus: await model.generate(prompt, { maxTokens: 12, temperature: 1, topP: 0.9, topK: 0, minP: 0, seed: 9 }).text(),
    contrastive: await model.generate(prompt, { maxTokens: 12, contrastive: { alpha: 0.6, k: 4 } }).text(),
    beams: (await model.beams(prompt, { beams: 3, maxTokens: 12 }))[0].text,
  };
  await model.unload();
  const same = Object.entries(own).map(([way, text]) => [way, texts[way] === text && text.length > 5 && widget.inner(`way-${way}`).textContent === text.trimStart()]);
  const table = widget.inner("tree").querySelector("table");
  const rows = [...(table?.tBodies[0].rows ?? [])];
  const columns = table?.tHead?.rows[0].cells.length;
  widget.ways = ["beams"];
  const some = [widget.inner("ways").querySelectorAll("dt").length, widget.inner("tree").childElementCount, Object.keys(widget.texts).length];
  const alone = Object.keys(await widget.write());
  widget.setAttribute("ways", "beams guess");
  await comesTrue(() => widget.inner("said").classList.contains("fault"));
  return { same: Object.fromEntries(same), rows: rows.length, columns, some, alone, refused: widget.inner("said").textContent };
}

/** A conversation: two turns, one that was stopped, and a new beginning; a model that answers nothing is refused. */
export async function talk() {
  const [widget] = await mountWidgets('<vitrine-chat prompt="Tell me a story about a bear." max-tokens="30" temperature="0"></vitrine-chat>', "vitrine-chat");
  const answer = await widget.send();
  const first = widget.messages.map((/** @type {any} */ { role, content }) => [role, content === answer || content]);
  const empty = widget.words;
  await widget.send();
  const unsaid = [widget.messages.length, widget.inner("said").textContent];
  widget.words = "Tell me a story about an owl.";
  await widget.send();
  const turns = [widget.messages.length, widget.shadowRoot.querySelectorAll(".turn").length];
  widget.words = "And one about a fox.";
  widget.maxTokens = 300;
  const sent = widget.send();
  await comesTrue(() => widget.shadowRoot.querySelectorAll(".turn.its")[2]?.textContent.length > 25);
  widget.stop();
  const cut = await sent;
  const said = widget.messages.at(-1).content;
  const stopped = said.trim() === cut.trim() && cut.length > 0 ? true : [said, cut];
  element("vitrine-chat", HTMLElement).shadowRoot?.querySelector(".again")?.dispatchEvent(new MouseEvent("click"));
  return { first, empty, unsaid, turns, stopped, cleared: [widget.messages.length, widget.shadowRoot.querySelectorAll(".turn").length] };
}

/** Each step of a picture, and the way back; one seed at several guidances. */
export async function painted() {
  const [steps, scales] = await mountWidgets('<vitrine-denoise prompt="a fox in the snow" steps="5" seed="3"></vitrine-denoise><vitrine-guidance prompt="a fox in the snow" scales="1 6" steps="3" seed="3"></vitrine-guidance>', "vitrine-denoise", "vitrine-guidance");
  const canvas = steps.inner("picture");
  const drawn = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.join();
  const off = steps.inner("step").disabled;
  const pictures = await steps.paint();
  const last = drawn();
  const scrub = steps.inner("step");
  const at = [scrub.value, scrub.max, steps.inner("which").textContent];
  scrub.value = "2";
  scrub.dispatchEvent(new Event("input"));
  const second = drawn() === pictures[1].data.join() && drawn() !== last;
  const label = canvas.getAttribute("aria-label");
  const both = await scales.paint();
  const { pageEngine } = await import("/engine.js");
  const model = await (await pageEngine()).load("illustrator", { kind: "image" });
  const own = await model.generate({ prompt: "a fox in the snow", steps: 3, guidance: 6, seed: 3 }).picture();
  await model.unload();
  const same = both[1].data.join() === own.data.join() && both[0].data.join() !== own.data.join();
  const labels = [...scales.shadowRoot.querySelectorAll("canvas")].map((each) => each.getAttribute("aria-label"));
  scales.setAttribute("scales", "1,2");
  await comesTrue(() => scales.inner("said").classList.contains("fault"));
  return { off, count: pictures.length, at, second, label, same, labels, refused: scales.inner("said").textContent };
}
