/** A beam search as a table: a row for each step, a column for each beam, what was weighed and let go at the end. */

import { make } from "../page/dom.js";
import { visible } from "./candidates.js";

/** @import { BeamBranch, Beams } from "../vitrine.js" */

/** @param {Beams} found @param {number} beams */
export function beamTable(found, beams) {
  const steps = found.steps ?? [];
  const rows = steps.map((branches, step) => {
    const cells = Array.from({ length: beams }, (_, place) => {
      const branch = branches.find(({ beam }) => beam === place);
      return make("td", {}, ...(branch ? written(branch, step) : []));
    });
    const gone = branches.filter(({ beam, ended }) => beam === undefined && !ended).slice(0, beams);
    const ended = branches.filter((branch) => branch.ended);
    const told = [...ended.map((branch) => make("div", {}, ...written(branch, step), " — a text ends")), ...gone.map((branch) => make("div", {}, ...written(branch, step)))];
    return make("tr", {}, make("th", { scope: "row" }, String(step + 1)), ...cells, make("td", {}, ...told));
  });
  const head = ["Step", ...Array.from({ length: beams }, (_, place) => `Beam ${place + 1}`), "Let go"].map((name) => make("th", { scope: "col" }, name));
  const caption = make("caption", {}, "Each token with the beam that it goes on from, and the log-probability of the text as far as it goes.");
  return make("table", { part: "table" }, caption, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

/** @param {BeamBranch} branch @param {number} step */
function written({ parent, text, score }, step) {
  return [
    ...(step > 0 ? [make("span", { class: "mute" }, `${parent + 1} → `)] : []),
    make("span", { class: "word", dir: "auto", translate: "no" }, ...visible(text)),
    make("span", { class: "mute" }, ` ${score.toFixed(2).replace("-", "−")}`),
  ];
}
