/** Which name was meant by one that nobody has. */

/**
 * The name that the fewest changes of a letter lead to, if a slip of the hand could have.
 * @param {string} option
 * @param {string[]} known
 */
export function nearest(option, known) {
  const written = plain(option);
  const ranked = known.map((each) => ({ each, far: changes(written, plain(each)) })).sort((a, b) => a.far - b.far);
  return ranked.length > 0 && ranked[0].far <= Math.max(1, Math.floor(written.length / 3)) ? ranked[0].each : undefined;
}

/** How many letters must be changed, put in, left out or swapped with their neighbour (Damerau 1964). @param {string} from @param {string} to */
function changes(from, to) {
  /** @type {number[][]} */
  const table = [];
  for (let i = 0; i <= from.length; i++) {
    table.push([i]);
    for (let j = 1; j <= to.length; j++) {
      if (i === 0) {
        table[0].push(j);
        continue;
      }
      const same = from[i - 1] === to[j - 1] ? 0 : 1;
      let least = Math.min(table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + same);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) least = Math.min(least, table[i - 2][j - 2] + 1);
      table[i].push(least);
    }
  }
  return table[from.length][to.length];
}

/** A name without what spellings differ in. @param {string} name */
export const plain = (name) => name.replace(/[_\-\s]/g, "").toLowerCase();
