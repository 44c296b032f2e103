/** What embed.html says of attributes, methods, events and parts. docs/widgets.md says more. */

/** What an attribute is for. @type {Record<string, string>} */
export const ATTRIBUTES = {
  model: "A name from the catalogue, an address, or hf://owner/repo/file.gguf.",
  device: "What computes.",
  caption: "A line below.",
  theme: "Light or dark; auto is as its page.",
  share: "Two small buttons that copy its HTML and a link.",
  prompt: "The words to begin with.",
  locked: "The reader cannot change the words.",
  "linked-to": "The id of another widget of the page, which it goes along with.",
  seed: "The same story or picture each time; left out, a new one.",
  pace: "As fast as it goes, slowly, or a step for each press.",
  schema: "The text is JSON of this JSON Schema.",
  regex: "The text matches this regular expression.",
  choice: "The text is one of these, each on a line of its own.",
  grammar: "The text is one of this grammar, in GBNF or Lark's notation.",
  forms: "How the weights are stored: keep, f16, q8_0, q4_0, with spaces between them.",
  text: "What the perplexity is of; left out, the beginning.",
  "max-tokens": "At most so many tokens.",
  temperature: "0 is always the likeliest token; higher is freer.",
  "top-k": "Only so many of the likeliest tokens; 0 is off.",
  "top-p": "Only the likeliest tokens that make up this share; 1 is off.",
  "min-p": "Only tokens at least this share as likely as the likeliest; 0 is off.",
  candidates: "How many tokens the table has.",
  other: "A second text, to compare.",
  ways: "Which ways of going on.",
  beams: "How many beams.",
  alpha: "How much contrastive search minds repetition.",
  system: "How the model should answer.",
  steps: "Denoising steps; left out, as the model says.",
  guidance: "How closely the picture keeps to the words; left out, as the model says.",
  scales: "The guidances to compare.",
  "start-image": "The address of a picture to begin from.",
  strength: "How much of that picture may change.",
  across: "Which number goes from left to right.",
  up: "Which number goes from below to above.",
  label: "Which class of pictures, of a model with labels.",
};

/** @type {[string, string][]} */
export const EVENTS = [
  ["ready", "A model is loaded."],
  ["done", "What was begun is finished or was stopped; detail says what came of it."],
  ["error", "A load, the work or an attribute fails; message is what the reader sees, error a VitrineError."],
];

/** @type {[string, string][]} */
const ALL = [
  ["snippet()", "The HTML that makes it as it is now."],
  ["link()", "The link to this page that shows it so; none where that is too long."],
  ["stop()", "Ends what is under way."],
];

/** What the button of each does. @type {Record<string, [string, string][]>} */
const OWN = {
  "vitrine-text": [["write()", "Writes on; resolves with the text."]],
  "vitrine-decoding": [["write()", "Writes in every way; resolves with the texts."]],
  "vitrine-chat": [["send()", "Sends the words; resolves with the answer."], ["clear()", "Forgets all turns."]],
  "vitrine-tokens": [["show()", "Cuts the words; resolves with the tokens."]],
  "vitrine-next": [["draw()", "Draws a token; resolves with the text."], ["pick(candidate)", "Puts a token behind the text."]],
  "vitrine-score": [["score()", "Scores the text; resolves with the scores."]],
  "vitrine-schema": [["write()", "Writes a text of the form; resolves with it."]],
  "vitrine-quant": [["compare()", "Measures every form; resolves with the results."]],
  "vitrine-image": [["paint()", "Paints; resolves with the picture."]],
  "vitrine-denoise": [["paint()", "Paints; resolves with the pictures."]],
  "vitrine-guidance": [["paint()", "Paints at each scale; resolves with the pictures."]],
  "vitrine-latent": [["show(numbers)", "Makes the picture of these numbers; resolves with it."]],
};

/** @param {string} tag */
export function methods(tag) {
  return [...(OWN[tag] ?? []), ...ALL];
}

/** @type {[string, string][]} */
export const SLOTS = [
  ["picture", "An image that stands there until the model does, without scripts, and on paper."],
  ["caption", "In place of the attribute."],
];
