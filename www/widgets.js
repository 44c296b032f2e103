/**
 * Widgets for course notes, each a module of its own that comes when the first element of its name is on the page. All widgets of a page share its one engine and
 * one copy of each model; each loads its model when it comes near the screen, and frees everything when it leaves the page. Importing this on a server does
 * nothing.
 */

import { VitrineError } from "./errors.js";

export { Widget } from "./widgets/widget.js";

/** Their names, and where they are. @type {Record<string, () => Promise<typeof import("./widgets/widget.js").Widget<any>>>} */
const MODULES = {
  "vitrine-chat": async () => (await import("./widgets/chat.js")).VitrineChat,
  "vitrine-decoding": async () => (await import("./widgets/decoding.js")).VitrineDecoding,
  "vitrine-denoise": async () => (await import("./widgets/denoise.js")).VitrineDenoise,
  "vitrine-guidance": async () => (await import("./widgets/guidance.js")).VitrineGuidance,
  "vitrine-image": async () => (await import("./widgets/image.js")).VitrineImage,
  "vitrine-latent": async () => (await import("./widgets/latent.js")).VitrineLatent,
  "vitrine-next": async () => (await import("./widgets/next.js")).VitrineNext,
  "vitrine-quant": async () => (await import("./widgets/quant.js")).VitrineQuant,
  "vitrine-schema": async () => (await import("./widgets/schema.js")).VitrineSchema,
  "vitrine-score": async () => (await import("./widgets/score.js")).VitrineScore,
  "vitrine-text": async () => (await import("./widgets/text.js")).VitrineText,
  "vitrine-tokens": async () => (await import("./widgets/tokens.js")).VitrineTokens,
};
/** Their names. */
export const TAGS = Object.keys(MODULES);

/** @type {Map<string, ReturnType<typeof one>>} */
const coming = new Map();

/**
 * Defines widgets by their elements' names, all of them where none is named; resolves with their classes. Elements in a document and in open shadow roots need no such
 * call: whoever makes one elsewhere, or wants its methods at once, makes it. Errors: `bad-argument`, a name that no widget has.
 * @param {...string} tags
 */
export function define(...tags) {
  return Promise.all((tags.length > 0 ? tags : TAGS).map(known));
}

/** @param {string} tag */
function known(tag) {
  const defined = coming.get(tag) ?? one(tag);
  coming.set(tag, defined);
  return defined;
}

/** @param {string} tag */
async function one(tag) {
  try {
    if (!Object.hasOwn(MODULES, tag)) throw new VitrineError("bad-argument", `There is no widget “${tag}”. There are ${TAGS.join(", ")}.`);
    const Class = await MODULES[tag]();
    Class.define(tag);
    return Class;
  } catch (error) {
    coming.delete(tag);
    throw error;
  }
}

/** Roots that are watched. @type {WeakSet<Node>} */
const watched = new WeakSet();

/** Defines what stands in a document or a shadow root, and what comes into it. @param {Document | ShadowRoot} root */
function watch(root) {
  if (watched.has(root)) return;
  watched.add(root);
  look(root);
  const observer = new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node instanceof Element) look(node);
    }
  });
  observer.observe(root, { childList: true, subtree: true });
}

/** @param {Document | ShadowRoot | Element} from */
function look(from) {
  const within = [...(from instanceof Element ? [from] : []), ...from.querySelectorAll("*")];
  for (const { localName, shadowRoot } of within) {
    if (Object.hasOwn(MODULES, localName)) {
      if (!coming.has(localName)) known(localName).catch((error) => console.error(`<${localName}> could not be loaded.`, error));
    } else if (shadowRoot) watch(shadowRoot);
  }
}

if (globalThis.document && globalThis.MutationObserver) watch(document);
