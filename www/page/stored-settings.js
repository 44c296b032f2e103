/** Settings that last from visit to visit, in the browser's own store for this page. */

/** @param {string} store @returns {Record<string, unknown>} */
export function readStored(store) {
  try {
    const kept = JSON.parse(localStorage.getItem(store) ?? "{}");
    return typeof kept === "object" && kept !== null ? kept : {};
  } catch {
    return {};
  }
}

/** Whether it was kept: a browser that keeps nothing for this page forgets it with the visit. @param {string} store @param {Record<string, unknown>} values */
export function keep(store, values) {
  try {
    localStorage.setItem(store, JSON.stringify(values));
    return true;
  } catch {
    return false;
  }
}
