/** The page that sets up a widget: a form made from what its class says, the widget itself, its HTML, and what else there is to know of it. Its state is the address behind `#`. */

import { copied, copyable } from "./page/copyable.js";
import { element, make } from "./page/dom.js";
import { field } from "./page/embed-form.js";
import { RECIPES, cell } from "./page/embed-recipes.js";
import { ATTRIBUTES, EVENTS, SLOTS, methods } from "./page/embed-words.js";
import { TAGS, define } from "./widgets.js";
import { LOOK } from "./widgets/look.js";
import { stateInWords, told } from "./widgets/share.js";

/** @import { Attribute } from "./widgets/attributes.js" */
/** @import { Widget } from "./widgets/widget.js" */

const FIRST = "vitrine-text";
/** How long nothing changes before the address does: browsers count how often. */
const CALM = 400;

const tags = element("tag", HTMLSelectElement);
const live = element("live", HTMLElement);
const note = element("note", HTMLElement);
const fields = element("fields", HTMLFormElement);

/** @type {Widget<any>} */
let widget;
/** @type {Record<string, Attribute>} */
let attributes = {};
/** The address that was written last. */
let written = "";
let timer = 0;

/** What is shown of the widget as it stands, renewed with it. @type {(() => void)[]} */
let shown = [];

/** The attributes as they stand. */
function present() {
  return told(attributes, widget.present());
}

/** The widget alone, without its script. */
function bare() {
  return widget.snippet().split("\n")[1];
}

/** Its link; where that would be too long, this page's with the kind of widget alone. */
function link() {
  return widget.link() ?? new URL(`embed.html#${widget.localName}`, document.baseURI).href;
}

function refresh() {
  for (const show of shown) show();
  clearTimeout(timer);
  timer = setTimeout(() => {
    written = new URL(link()).hash;
    history.replaceState(history.state, "", written);
  }, CALM);
}

/** What the address asks for, and what of it means nothing. */
function wanted() {
  const [tag, words = ""] = location.hash.slice(1).split(/\?(.*)/s);
  if (tag === "") return { tag: FIRST, asked: /** @type {[string, string][]} */ ([["share", ""]]), strange: "" };
  if (!TAGS.includes(tag)) return { tag: FIRST, asked: /** @type {[string, string][]} */ ([["share", ""]]), strange: `There is no widget “${tag.slice(0, 60)}”: the list has all that there are.` };
  return { tag, asked: [...new URLSearchParams(words)], strange: "" };
}

/** Shows what the address asks for. */
async function open() {
  const { tag, asked, strange } = wanted();
  const [Class] = /** @type {(typeof Widget<any>)[]} */ (await define(/** @type {any} */ (tag)));
  attributes = Class.attributes;
  const known = asked.filter(([name]) => Object.hasOwn(attributes, name) && name !== "linked-to");
  const others = asked.filter((each) => !known.includes(each)).map(([name]) => name.slice(0, 60));
  note.textContent = strange || (others.length > 0 ? `The link names what <${tag}> does not have here, and that is left out: ${others.join(", ")}.` : "");
  tags.value = tag;
  widget = /** @type {Widget<any>} */ (document.createElement(tag));
  for (const [name, value] of known) widget.setAttribute(name, value);
  for (const event of ["input", "done", "ready"]) widget.addEventListener(event, refresh);
  live.replaceChildren(widget);
  shown = [];
  await showFields(Class);
  showHtml();
  showFacts(Class);
  showRecipes();
  refresh();
}

/** @param {typeof Widget<any>} Class */
async function showFields({ kinds }) {
  const models = await catalog();
  const fits = models.filter(({ kind }) => kinds.some((each) => each === kind)).map(({ id }) => id);
  const rows = Object.entries(attributes).flatMap(([name, attribute]) => {
    // There is no second one here to go along with.
    if (name === "linked-to") return [];
    const set = (/** @type {string | null} */ raw) => {
      if (raw === null) widget.removeAttribute(name);
      else widget.setAttribute(name, raw);
      refresh();
    };
    return [field(name, attribute, widget.getAttribute(name), name === "model" ? fits : [], set)];
  });
  fields.replaceChildren(...rows);
}

/** The catalogue's models, as far as it can be had: without it a name can be typed all the same. @returns {Promise<{ id: string, kind: string }[]>} */
async function catalog() {
  try {
    const read = await (await fetch(new URL("models/catalog.json", document.baseURI))).json();
    return Array.isArray(read) ? read : read.models;
  } catch {
    return [];
  }
}

function showHtml() {
  const byLink = make("button", { type: "button", class: "plain" }, "Copy link");
  const { box, said, show } = copyable("the widget's HTML", () => widget.snippet(), byLink);
  byLink.addEventListener("click", async () => {
    const url = widget.link();
    said.textContent = url === undefined ? "This is too long for a link. Copy the HTML instead." : await copied(url, box);
  });
  element("html", HTMLElement).replaceChildren(box);
  shown.push(show);
}

/** @param {typeof Widget<any>} Class */
function showFacts({ look }) {
  element("reference-title", HTMLElement).replaceChildren("All of ", make("code", {}, `<${widget.localName}>`));
  const list = (/** @type {string} */ title, /** @type {[string, string][]} */ pairs) => [
    make("h3", {}, title),
    make("dl", {}, ...pairs.flatMap(([name, words]) => [make("dt", {}, make("code", {}, name)), make("dd", {}, words)])),
  ];
  const said = Object.entries(attributes).map(([name, { allowed, fallback }]) => {
    const standsIn = fallback === undefined || fallback === "" || fallback === false ? "" : ` Left out: ${Array.isArray(fallback) ? fallback.join(" ") : fallback}.`;
    return /** @type {[string, string]} */ ([name, `${ATTRIBUTES[name] ?? ""} May be ${allowed}.${standsIn}`.trim()]);
  });
  const parts = [...new Set([...(widget.shadowRoot?.querySelectorAll("[part]") ?? [])].flatMap((each) => [...each.part]))];
  const properties = [...new Set((LOOK + look).match(/--vitrine-[a-z-]+/g))];
  const names = (/** @type {string} */ title, /** @type {string[]} */ all) => [make("h3", {}, title), make("p", {}, ...all.flatMap((name, at) => [at > 0 ? ", " : "", make("code", {}, name)]))];
  element("facts", HTMLElement).replaceChildren(
    ...list("Attributes", said),
    ...list("Events", EVENTS),
    ...list("Methods", methods(widget.localName)),
    ...list("Slots", SLOTS),
    ...names("Parts to style, before it made anything", parts),
    ...names("Custom properties", properties),
  );
}

function showRecipes() {
  const place = element("recipes", HTMLElement);
  const given = () => ({ base: new URL(".", document.baseURI).href, element: bare(), html: widget.snippet(), link: link() });
  const all = [...RECIPES.map(({ name, note, lines }) => ({ name, note, text: () => lines(given()) })), { name: "Jupyter", note: "With the wheel vitrine-widgets installed.", text: () => cell(widget.localName, present()) }];
  const rows = all.flatMap(({ name, note, text }) => {
    const { box, show } = copyable(name, text);
    shown.push(show);
    return [make("h3", {}, name), make("p", {}, note), box];
  });
  place.replaceChildren(/** @type {Node} */ (place.firstElementChild), ...rows);
}

// In a frame of another page the widget stands alone.
document.body.classList.toggle("alone", new URLSearchParams(location.search).has("alone"));
tags.append(...TAGS.map((tag) => make("option", { value: tag }, tag)));
tags.addEventListener("change", () => {
  location.hash = stateInWords(tags.value, [["share", ""]]);
});
addEventListener("hashchange", () => {
  if (location.hash !== written) open();
});
fields.addEventListener("submit", (event) => event.preventDefault());

await open();
for (const id of ["setup", "reference", "recipes"]) element(id, HTMLElement).hidden = false;
for (const each of document.querySelectorAll(".unstarted")) each.remove();
document.body.dataset.state = "ready";
