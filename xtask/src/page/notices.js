// @ts-check
import { drop } from "./common.js";

/** Drops a file of this name that is no model. @param {string} name */
export function dropNoModel(name) {
  drop([new File(["no model"], name)]);
}
