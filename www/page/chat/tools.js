/** Functions that a model may call here, once the reader has switched them on. They compute in the page: nothing that a model writes goes anywhere. */

import { calculated } from "./arithmetic.js";

/** @import { Tool } from "../../vitrine.js" */
/** With what the reader is told of it. @typedef {Tool & { title: string, words: string }} PageTool */

const DAY_MS = 86_400_000;
const DAY = { type: "string", description: "A day, like 2026-05-17", pattern: "^\\d{4}-\\d{2}-\\d{2}$" };

/** @param {Record<string, object>} properties @param {string[]} [required] */
const parameters = (properties, required = []) => ({ type: "object", properties, required, additionalProperties: false });

/** @type {PageTool[]} */
export const TOOLS = [
  {
    name: "calculate",
    title: "Calculator",
    words: "Arithmetic to fifteen digits: models guess at it.",
    description: "The value of an arithmetic expression, such as 12.5 * (3 + 4)^2 or sqrt(2)",
    parameters: parameters({ expression: { type: "string", maxLength: 500 } }, ["expression"]),
    run: (/** @type {{ expression: string }} */ { expression }) => String(calculated(expression)),
  },
  {
    name: "clock",
    title: "Clock",
    words: "The day and the time; a model knows neither.",
    description: "The date and the time now, here or in another time zone",
    parameters: parameters({ timeZone: { type: "string", description: "An IANA time zone, like Europe/Paris", maxLength: 60 } }),
    run: (/** @type {{ timeZone?: string }} */ { timeZone }) => now(timeZone),
  },
  {
    name: "calendar",
    title: "Calendar",
    words: "Days of the week, and how far two days are apart.",
    description: "The day of the week of a date, and how many days it is until another",
    parameters: parameters({ date: DAY, until: DAY }, ["date"]),
    run: (/** @type {{ date: string, until?: string }} */ { date, until }) => between(date, until),
  },
];

/** Those of these names, in their own order. @param {string[]} [names] */
export function toolsNamed(names = []) {
  return TOOLS.filter(({ name }) => names.includes(name));
}

/** @param {string} [asked] */
function now(asked) {
  const timeZone = asked || Intl.DateTimeFormat().resolvedOptions().timeZone;
  const date = new Date();
  try {
    const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone });
    return `${inWords(date, timeZone)}, ${time}, ${timeZone}`;
  } catch {
    throw new Error(`There is no time zone “${timeZone}”. They are named like Europe/Paris.`);
  }
}

/** @param {string} date @param {string} [until] */
function between(date, until) {
  const from = dayOf(date);
  if (until === undefined) return `${inWords(from)}.`;
  const to = dayOf(until);
  const days = Math.round((to.getTime() - from.getTime()) / DAY_MS);
  const many = Math.abs(days) === 1 ? "1 day" : `${Math.abs(days)} days`;
  return `${inWords(to)} is ${days === 0 ? "the same day" : `${many} ${days > 0 ? "after" : "before"} ${inWords(from)}`}.`;
}

/** @param {string} text */
function dayOf(text) {
  const day = new Date(`${text}T00:00:00Z`);
  // The thirtieth of February would be a day of March.
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== text) throw new Error(`There is no day “${text}”. Days are written like 2026-05-17.`);
  return day;
}

/** As every browser says it: their own long dates differ. @param {Date} day @param {string} [timeZone] */
function inWords(day, timeZone = "UTC") {
  const part = (/** @type {Intl.DateTimeFormatOptions} */ wanted) => day.toLocaleDateString("en-GB", { ...wanted, timeZone });
  return `${part({ weekday: "long" })}, ${part({ day: "numeric" })} ${part({ month: "long" })} ${part({ year: "numeric" })}`;
}
