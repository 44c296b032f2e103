// @ts-check
import { comesTrue, mountWidgets, sleepFor } from "./common.js";

/** The element of a snippet, without its script. @param {any} widget */
const bare = (widget) => widget.snippet().split("\n").slice(1).join("\n");

/** What comes of a widget's HTML, where that is put into a page. */
export async function equal() {
  const [plain] = await mountWidgets("<vitrine-text></vitrine-text>");
  const none = bare(plain);
  const words = '"<b>&amp;</b>"\n  it’s';
  plain.words = words;
  const html = bare(plain);
  const [again] = await mountWidgets(html);
  const escaped = [again.words, bare(again) === html];
  // Drawn by chance, and again by the seed that its HTML has.
  const [first] = await mountWidgets('<vitrine-text prompt="A fox" max-tokens="12"></vitrine-text>');
  const text = await first.write();
  const [second] = await mountWidgets(bare(first));
  const sameText = second.hasAttribute("seed") && text.length > 10 && (await second.write()) === text;
  const [next] = await mountWidgets("<vitrine-next></vitrine-next>");
  for (const [name, value] of [["temperature", "1.5"], ["top-k", "7"]]) {
    const slider = next.inner(`slide-${name}`);
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
  }
  const [slid] = await mountWidgets(bare(next));
  const moved = [slid.getAttribute("temperature"), slid.getAttribute("top-k")];
  const [leader, follower] = await mountWidgets('<vitrine-text id="one" prompt="A fox" seed="11" max-tokens="4"></vitrine-text><vitrine-text linked-to="one" prompt="Other" max-tokens="4"></vitrine-text>');
  await comesTrue(() => !leader.button.disabled && !follower.button.disabled);
  const end = new Promise((resolve) => follower.addEventListener("done", resolve, { once: true }));
  await leader.write();
  await end;
  const [alone] = await mountWidgets(bare(follower));
  const followed = [alone.words, alone.getAttribute("seed"), alone.getAttribute("linked-to")];
  const [latent] = await mountWidgets('<vitrine-latent across="0" up="3" device="nonsense"></vitrine-latent>');
  const latentHtml = bare(latent);
  const [near] = await mountWidgets('<vitrine-image start-image="icon.svg" strength="0.5"></vitrine-image>');
  const found = bare(near).includes(`start-image="${new URL("icon.svg", document.baseURI).href}"`);
  near.startImage = URL.createObjectURL(new Blob());
  const gone = bare(near);
  return { plain: none, escaped, sameText, moved, follower: followed, latent: latentHtml, picture: [found, gone.includes("start-image"), gone.includes("strength")] };
}

/** A megabyte of words. */
export async function tooLong() {
  const [widget] = await mountWidgets("<vitrine-tokens share></vitrine-tokens>");
  const short = widget.link() === new URL("/embed.html#vitrine-tokens?share=", location.href).href;
  // Not to be cut into tokens here.
  widget.inner("own").textContent = "fox ".repeat(250_000);
  const link = widget.link() ?? null;
  widget.inner("share").querySelectorAll("button")[1].click();
  await comesTrue(() => widget.inner("shared").textContent !== "");
  return { link, long: widget.snippet().length > 1_000_000, said: widget.inner("shared").textContent, short };
}

/** The two buttons, where there is a clipboard and where there is none. */
export async function buttons() {
  const [without, widget] = await mountWidgets('<vitrine-text></vitrine-text><vitrine-text share prompt="An owl"></vitrine-text>');
  const hidden = [without, widget].map((each) => each.inner("share").hidden);
  /** @type {string[]} */
  const taken = [];
  const clipboard = { writeText: async (/** @type {string} */ text) => void taken.push(text) };
  Object.defineProperty(navigator, "clipboard", { configurable: true, get: () => clipboard });
  const said = [];
  for (const button of widget.inner("share").querySelectorAll("button")) {
    const before = taken.length;
    button.click();
    await comesTrue(() => taken.length > before);
    await sleepFor(20);
    said.push(widget.inner("shared").textContent);
  }
  const copied = [taken[0] === widget.snippet(), taken[1] === widget.link()];
  clipboard.writeText = () => Promise.reject(new DOMException("no", "NotAllowedError"));
  widget.inner("share").querySelector("button").click();
  const byHand = widget.inner("by-hand");
  await comesTrue(() => !byHand.hidden);
  return { hidden, copied, said, refused: [widget.inner("shared").textContent, byHand.value === widget.snippet(), byHand.selectionEnd === byHand.value.length] };
}

/** A link to each widget, with something that is not so by default. */
export async function links() {
  const { TAGS } = await import("/widgets.js");
  const all = await mountWidgets(TAGS.map((tag) => `<${tag} caption="Say “hello” &amp; wait" theme="dark" style="margin-top: 5000px"></${tag}>`).join(""));
  return all.map((each) => each.link());
}

/** What stands on the page that sets widgets up. */
export async function standing() {
  const widget = /** @type {any} */ (document.querySelector("#live > *"));
  const listed = [...document.querySelectorAll("#facts dl:first-of-type dt")].map((each) => each.textContent);
  const nameless = [...document.querySelectorAll("#facts dl:first-of-type dd")].filter((each) => each.textContent?.startsWith("May be"));
  const { attributes } = widget.constructor;
  return {
    link: widget.link(),
    note: document.querySelector("#note")?.textContent,
    temperature: widget.getAttribute("temperature"),
    onclick: widget.hasAttribute("onclick"),
    // Attributes that the page has no field or no word for.
    strangers: [
      ...Object.keys(attributes).filter((name) => !listed.includes(name) || (name !== "linked-to" && !document.querySelector(`#field-${name}`))),
      ...nameless.map((each) => each.textContent),
    ],
  };
}

/** What comes of the form. */
export async function setUp() {
  const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (document.querySelector(`#field-${name}`));
  const set = (/** @type {string} */ name, /** @type {string} */ value) => {
    field(name).value = value;
    field(name).dispatchEvent(new Event("input"));
  };
  const html = () => document.querySelector("#html code")?.textContent?.split("\n")[1];
  set("prompt", 'An "owl"');
  set("temperature", "0.2");
  field("locked").click();
  const typed = html();
  await comesTrue(() => location.hash.includes("locked"));
  const { hash } = location;
  set("temperature", "99");
  const said = () => /** @type {any} */ (document.querySelector("#live > *")).inner("said");
  await comesTrue(() => said().classList.contains("fault"));
  const wrong = said().textContent;
  const tag = /** @type {HTMLSelectElement} */ (document.querySelector("#tag"));
  tag.value = "vitrine-latent";
  tag.dispatchEvent(new Event("change"));
  await comesTrue(() => document.querySelector("#live > *")?.localName === "vitrine-latent" && document.querySelector("#field-up"));
  await comesTrue(() => document.querySelectorAll("#recipes .code").length > 0 && document.querySelector("#recipes .code:last-child code")?.textContent?.includes("Latent"));
  const codes = [...document.querySelectorAll("#recipes .code code")].map((each) => each.textContent);
  return { typed, hash, wrong, other: [html()?.match(/^<([a-z-]+)/)?.[1], field("across") !== null], recipes: codes.length, python: codes.at(-1) };
}
