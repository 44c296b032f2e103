// @ts-check
import { comesTrue, element, mountWidgets, sleepFor } from "./common.js";

/** @import { Chunk, TextModel } from "../../../www/vitrine.js" */
/** @typedef {import("../../../www/widgets.js").VitrineSchema} VitrineSchema */
/** @typedef {import("../../../www/widgets.js").VitrineQuant} VitrineQuant */

const PROMPT = "One winter day, a fox";
const REGEX = " found an? (key|lantern|acorn) in the (snow|forest)\\.";

/** @template T @param {string} source @param {(model: TextModel) => Promise<T>} work @param {object} [options] @returns {Promise<T>} */
async function by(source, work, options = {}) {
  const { pageEngine } = await import("/engine.js");
  const model = await (await pageEngine()).load(source, { kind: "text", ...options });
  try {
    return await work(model);
  } finally {
    await model.unload();
  }
}

/** The code and the sentence that some work of a widget ends with. @param {any} widget @param {Promise<unknown>} work */
async function fault(widget, work) {
  const error = await work.then(() => undefined, (error) => error);
  if (error && error.message !== widget.inner("said").textContent) throw new Error(`it says ${widget.inner("said").textContent}, and rejects with ${error}`);
  return error;
}

/** Counts the models that the page asked its worker for and has not given back. */
function counting() {
  /** @type {Set<number>[]} */
  const [loads, loaded, unloaded] = [new Set(), new Set(), new Set()];
  const heard = new WeakSet();
  const count = {
    asked: 0,
    most: 0,
    // One may be given back before this hears that it came.
    get held() {
      return loaded.difference(unloaded);
    },
  };
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (/** @type {any} */ message, /** @type {any} */ ...rest) {
    if (!heard.has(this)) {
      heard.add(this);
      this.addEventListener("message", ({ data }) => {
        if ("value" in data && loads.delete(data.id)) loaded.add(data.value.model);
        count.most = Math.max(count.most, count.held.size);
      });
    }
    if (message.op === "load") {
      count.asked += 1;
      loads.add(message.id);
    }
    if (message.op === "unload") unloaded.add(message.args.model);
    return postMessage.call(this, message, ...rest);
  };
  return count;
}

/** A regular expression: tokens and tables are the engine's own, marks those of the engine's forced chunks, and the keys go from token to token. */
export async function held() {
  /** @type {VitrineSchema[]} */
  const [widget] = await mountWidgets(`<vitrine-schema prompt="${PROMPT}" regex="${REGEX}" seed="11" temperature="0.7" candidates="6"></vitrine-schema>`);
  const text = await widget.write();
  const options = { regex: REGEX, seed: 11, temperature: 0.7, maxTokens: 80 };
  const [watched, unwatched] = await by("storyteller", async (model) => {
    /** @type {Chunk[][]} */
    const [watched, unwatched] = [[], []];
    for await (const chunk of model.generate(PROMPT, { ...options, alternatives: 6, trace: true })) if (chunk.token !== undefined) watched.push(chunk);
    for await (const chunk of model.generate(PROMPT, options)) if (chunk.token !== undefined) unwatched.push(chunk);
    return [watched, unwatched];
  });
  const tokens = widget.tokens;
  const same =
    tokens.length === watched.length &&
    tokens.every(({ token, trace }, at) => {
      const { token: own, trace: other } = watched[at];
      const alike = trace.candidates.every((each, at) => {
        const its = other?.candidates[at];
        return its && each.token === its.token && each.droppedBy === its.droppedBy && Math.abs(each.logprob - its.logprob) < 1e-3 && Math.abs(each.probability - its.probability) < 1e-3;
      });
      return token === own && alike && JSON.stringify(trace.filters) === JSON.stringify(other?.filters);
    });
  // Each letter of the text that came without the model being asked, by the engine's own account.
  const letters = unwatched.flatMap(({ piece, forced }) => [...piece].map((letter) => ({ letter, forced: Boolean(forced) })));
  const agrees = letters.map(({ letter }) => letter).join("") === text;
  let place = 0;
  const expected = tokens.map(({ text, left }) => {
    const own = letters.slice(place, (place += text.length));
    return left === 1 || (agrees && own.length > 0 && own.every(({ forced }) => forced));
  });
  const buttons = /** @type {HTMLButtonElement[]} */ ([...widget.inner("tokens").children]);
  const marked = (/** @type {string} */ name) => buttons.map((button) => button.classList.contains(name));
  const forced = agrees && tokens.some(({ forced }) => forced) && tokens.every((each, at) => each.forced === expected[at] && marked("forced")[at] === each.forced);
  const bent = tokens.every(({ bent, forced, trace }, at) => bent === (trace.candidates[0].droppedBy === "ban") && marked("bent")[at] === (bent && !forced)) && marked("bent").includes(true);
  const at = marked("bent").indexOf(true);
  buttons[at].click();
  const { trace, token, left } = tokens[at];
  const rows = [...widget.inner("candidates").querySelectorAll("tbody tr")];
  const struck = rows.filter((row) => row.lastElementChild?.textContent === "removed: ruled out").length;
  const taken = widget.inner("candidates").querySelectorAll("tr.taken");
  const caption = widget.inner("candidates").querySelector("caption")?.textContent;
  const count = (/** @type {string} */ name) => marked(name).filter(Boolean).length;
  const sum = widget.inner("sum").textContent;
  buttons[0].focus();
  const press = (/** @type {string} */ key) => widget.shadowRoot?.activeElement?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  press("ArrowRight");
  const second = widget.shadowRoot?.activeElement === buttons[1] && buttons[1].ariaPressed === "true" && buttons[1].tabIndex === 0 && buttons[0].tabIndex === -1;
  press("End");
  const last = widget.shadowRoot?.activeElement === buttons.at(-1) && widget.inner("candidates").querySelector("caption")?.textContent?.startsWith(`Token ${buttons.length}.`);
  press("Home");
  press("ArrowLeft");
  const first = widget.shadowRoot?.activeElement === buttons[0];
  const again = (await widget.write()) === text && widget.tokens.length === tokens.length;
  return {
    matches: new RegExp(`^${REGEX}$`).test(text),
    same,
    forced,
    bent,
    rows: rows.length === trace.candidates.length,
    struck: struck > 0 && struck === trace.candidates.filter(({ droppedBy }) => droppedBy === "ban").length,
    taken: taken.length === 1 && rows.indexOf(/** @type {Element} */ (taken[0])) === trace.candidates.findIndex((each) => each.token === token),
    left: left === trace.filters.find(([name]) => name === "ban")?.[1] && caption?.includes(`left ${left} of 3,072 tokens`),
    counted: sum?.startsWith(`${tokens.length} tokens: ${count("forced")} had to come, and at ${count("bent")} the form forbade`) || sum,
    keys: second && last && first,
    again,
    text,
    said: widget.inner("said").textContent,
  };
}

/** A schema, a choice in lines and as a list, a grammar, none, and one that the reader types. */
export async function kinds() {
  const schema = '{"type":"object","properties":{"animal":{"enum":["fox","bear"]},"legs":{"type":"integer","minimum":2,"maximum":4}},"required":["animal","legs"],"additionalProperties":false}';
  /** @type {VitrineSchema[]} */
  const [widget] = await mountWidgets(`<vitrine-schema prompt="${PROMPT}" schema='${schema}' temperature="0"></vitrine-schema>`);
  const { animal, legs } = JSON.parse(await widget.write());
  const change = async (/** @type {string | null} */ name, /** @type {string} */ value = "") => {
    for (const each of ["schema", "regex", "choice", "grammar"]) widget.removeAttribute(each);
    if (name) widget.setAttribute(name, value);
    return widget.write();
  };
  const lines = await change("choice", "\n  a fox \n  an owl\n");
  const list = await change("choice", '[" was out", " slept"]');
  const laughs = await change("grammar", 'root ::= "ha" ("ha" | "ho"){2}');
  const shown = `${widget.inner("kind").textContent} ${widget.inner("form").textContent}`;
  const form = widget.inner("form");
  form.textContent = 'root ::= "xxx"';
  form.dispatchEvent(new InputEvent("input"));
  const cleared = [widget.tokens.length, widget.inner("tokens").hidden, widget.inner("candidates").childElementCount];
  const typed = await widget.write();
  const standin = / found a (key|lantern|star|teapot) in the (snow|forest|attic|castle)\./.test(await change(null));
  widget.regex = null;
  widget.schema = { type: "boolean" };
  const property = [widget.schema, widget.getAttribute("schema")];
  widget.schema = null;
  widget.regex = "[a-z ]{40,}";
  widget.maxTokens = 3;
  await widget.write();
  const cut = widget.inner("sum").textContent?.endsWith("The text is cut off (as many tokens are there as were asked for), so it is not yet of the form.");
  widget.maxTokens = 400;
  widget.pace = "slow";
  widget.words = "Once";
  const writes = widget.write();
  await comesTrue(() => widget.tokens.length > 1);
  widget.stop();
  await writes;
  const stopped = [widget.tokens.length > 1, widget.inner("sum").textContent?.includes("(it was stopped), so it is not yet of the form.")];
  widget.locked = true;
  return {
    schema: ["fox", "bear"].includes(animal) && legs >= 2 && legs <= 4,
    lines: ["a fox", "an owl"].includes(lines),
    list: [" was out", " slept"].includes(list),
    grammar: /^ha(ha|ho){2}$/.test(laughs),
    standin,
    typed,
    cleared,
    shown,
    property,
    locked: [form.hasAttribute("contenteditable"), form.ariaReadOnly],
    cut,
    stopped,
  };
}

/** Forms that cannot be: what is said for a reader, and whether the engine's own sentence stands in the details. */
export async function misformed() {
  const set = async (/** @type {string} */ attributes) => {
    const [widget] = await mountWidgets(`<vitrine-schema ${attributes}></vitrine-schema>`);
    await comesTrue(() => widget.inner("said").classList.contains("fault"));
    return widget.inner("said").textContent;
  };
  const refused = async (/** @type {string} */ attributes) => {
    const [widget] = await mountWidgets(`<vitrine-schema ${attributes}></vitrine-schema>`);
    const error = await fault(widget, widget.write());
    return [error?.code, error?.message, /^(schema|regex|choice|grammar) /.test(error?.details ?? "") && widget.inner("details").textContent === error.details];
  };
  const seen = {
    two: await set("schema='true' regex='a'"),
    json: await set("schema='{type: 1}'"),
    none: await set("choice=''"),
    slip: await refused("regex='(fox'"),
    never: await refused(`schema='{"type": "integer", "minimum": 5, "maximum": 3}'`),
    much: await refused(`grammar='root ::= ("a"{2000}){2000}'`),
    rule: await refused(`grammar='root ::= beast'`),
  };
  const [widget] = await mountWidgets(`<vitrine-schema grammar='root ::= "ha"'></vitrine-schema>`);
  const type = (/** @type {string} */ form) => {
    widget.inner("form").textContent = form;
    widget.inner("form").dispatchEvent(new InputEvent("input"));
  };
  type("  ");
  const error = await fault(widget, widget.write());
  type('root ::= "ha"');
  return { ...seen, emptied: [error?.code, error?.message, Boolean(error?.details)], mended: await widget.write() };
}

/** Two files of one model: the engine's own numbers and texts, the first token that differs, and one model at a time. */
export async function files() {
  const text = "One winter day, a fox was out in the snow. The fox found a lantern.";
  const count = counting();
  /** @type {VitrineQuant[]} */
  const [widget] = await mountWidgets(`<vitrine-quant prompt="One evening, an owl" text="${text}" max-tokens="60"></vitrine-quant>`);
  const results = await widget.compare();
  const { most } = count;
  const alone = count.held.size === 0 && count.asked === 2;
  /** @type {{ deviceBytes: number, perplexity: number, pieces: string[], bits: number }[]} */
  const own = [];
  for (const source of ["storyteller", "storyteller-q4_0"]) {
    own.push(
      await by(source, async (model) => {
        const { deviceBytes } = model.stats;
        const { perplexity } = await model.score(text);
        /** @type {string[]} */
        const pieces = [];
        for await (const { token, piece } of model.generate("One evening, an owl", { temperature: 0, maxTokens: 60 })) if (token !== undefined) pieces.push(piece);
        return { deviceBytes, perplexity, pieces, bits: (8 * model.info.weightBytes) / model.info.parameters };
      }),
    );
  }
  const at = own[0].pieces.findIndex((piece, at) => piece !== own[1].pieces[at]);
  const terms = [...widget.inner("ways").querySelectorAll("dt")].map(({ textContent }) => textContent);
  const rows = [...widget.inner("measures").querySelectorAll("tbody tr")].map((row) => [...row.children].map(({ textContent }) => textContent));
  const differs = at < 0 ? terms[1]?.endsWith("tokens") : terms[1]?.endsWith(`: other from token ${at + 1} on`);
  const underlined = widget.inner("ways").querySelector("mark")?.textContent === (at < 0 ? undefined : own[1].pieces.slice(at).join(""));
  const best = terms[0]?.endsWith("what the others are compared with") && widget.inner("measures").querySelectorAll("tr.best").length === 1;
  const seen = {
    bytes: results.every(({ deviceBytes }, at) => deviceBytes === own[at].deviceBytes),
    bits: results.every(({ bits }, at) => bits === own[at].bits && rows[at][2] === bits.toFixed(1)),
    near: results.every(({ perplexity }, at) => Math.abs(perplexity / own[at].perplexity - 1) < 1e-4 && rows[at][3] === perplexity.toFixed(2)),
    texts: results.every(({ text }, at) => text === own[at].pieces.join("") && text.length > 20),
    smaller: results[1].deviceBytes < results[0].deviceBytes && results[1].bits < results[0].bits,
    names: results.map(({ name }) => name),
    differs,
    underlined,
    best,
    most,
    alone,
    terms,
  };
  widget.words = "Once";
  return { ...seen, cleared: widget.results.length === 0 && widget.inner("measures").childElementCount === 0 && widget.inner("ways").childElementCount === 0 };
}

/** One file in four forms. */
export async function made() {
  const source = "/fixtures/tiny_llama.gguf";
  /** @type {VitrineQuant[]} */
  const [widget] = await mountWidgets(`<vitrine-quant model="${source}" forms="keep f16 q8_0 q4_0" prompt="a b c" text="a b c d e f" max-tokens="12"></vitrine-quant>`);
  const results = await widget.compare();
  /** @type {{ deviceBytes: number, perplexity: number, text: string }[]} */
  const own = [];
  for (const quantization of widget.forms) {
    own.push(
      await by(
        source,
        async (model) => {
          const { deviceBytes } = model.stats;
          const { perplexity } = await model.score("a b c d e f");
          return { deviceBytes, perplexity, text: await model.generate("a b c", { temperature: 0, maxTokens: 12 }).text() };
        },
        { quantization },
      ),
    );
  }
  widget.model = "storyteller";
  widget.forms = ["keep", "f16"];
  // What is under way ends where another model is named.
  await sleepFor(20);
  const [eight, half] = await widget.compare();
  return {
    same: results.length === 4 && results.every(({ deviceBytes, perplexity }, at) => deviceBytes === own[at].deviceBytes && Math.abs(perplexity / own[at].perplexity - 1) < 1e-4),
    same_text: results.every(({ text }, at) => text === own[at].text),
    shrinks: results.every(({ deviceBytes }, at) => at === 0 || deviceBytes < results[at - 1].deviceBytes),
    f16: results[1].name.endsWith(" F16"),
    // Another form is another model: four bits do not find the text as likely as it was.
    other_text: results[3].perplexity !== results[0].perplexity,
    bits: results.map(({ bits }) => bits),
    f16_of_quantised: [half.deviceBytes > eight.deviceBytes, Math.abs(half.perplexity / eight.perplexity - 1) < 0.02],
    results: results.map(({ deviceBytes, perplexity, text }) => [deviceBytes, perplexity, text]),
  };
}

/** What cannot be compared, and that what was measured before stays. */
export async function incomparable() {
  const count = counting();
  const refused = async (/** @type {string} */ attributes) => {
    const [widget] = await mountWidgets(`<vitrine-quant max-tokens="3" ${attributes}></vitrine-quant>`);
    const error = await fault(widget, widget.compare());
    return { widget, said: [error?.code, error?.message] };
  };
  const second = await refused('model="storyteller nobody"');
  const seen = {
    quantised: (await refused('model="storyteller" forms="q4_0"')).said,
    unknown: second.said,
    wrong: (await refused('model="illustrator"')).said,
    many: (await refused('model="a b c" forms="keep f16 q8_0 q4_0"')).said,
    form: (await refused('forms="q5_1"')).said,
    kept: second.widget.results.length,
  };
  await comesTrue(() => count.held.size === 0);
  return { ...seen, held: count.held.size };
}

/** Widgets that leave the page while they load, measure and write; one that comes back works. */
export async function gone() {
  const count = counting();
  /** @type {string[]} */
  const rejected = [];
  addEventListener("unhandledrejection", ({ reason }) => rejected.push(String(reason)));
  const away = async (/** @type {any} */ widget, /** @type {Promise<unknown>} */ work) => {
    const working = widget.isWorking;
    widget.remove();
    await work.catch(() => {});
    await sleepFor(100);
    await comesTrue(() => count.held.size === 0);
    return [working, count.held.size];
  };
  const [quant] = await mountWidgets("<vitrine-quant max-tokens='400'></vitrine-quant>");
  const loads = quant.compare();
  await comesTrue(() => count.asked === 1);
  const loading = await away(quant, loads);
  const [other] = await mountWidgets("<vitrine-quant max-tokens='400'></vitrine-quant>");
  const measures = other.compare();
  await comesTrue(() => count.held.size === 1);
  const measuring = await away(other, measures);
  const [text] = await mountWidgets("<vitrine-schema regex='[a-z ]+' max-tokens='400' pace='slow'></vitrine-schema>");
  const writes = text.write();
  await comesTrue(() => text.tokens.length > 1);
  const writing = await away(text, writes);
  document.body.append(text);
  text.pace = "fast";
  text.maxTokens = 10;
  const back = (await text.write()).length > 2;
  return { loading, measuring, writing, rejected, back };
}

/** Has the page of widgets follow its forms and compare its models. */
export async function answered() {
  const { define } = await import("/widgets.js");
  await define("vitrine-schema", "vitrine-quant");
  for (const id of ["held", "chosen"]) await /** @type {VitrineSchema} */ (/** @type {unknown} */ (element(`#${id}`, HTMLElement))).write();
  await /** @type {VitrineQuant} */ (/** @type {unknown} */ (element("#sizes", HTMLElement))).compare();
}
