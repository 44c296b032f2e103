/** What lasts from visit to visit, or as long as a tab is open, in the browser's own stores for this page. */

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

/** Whether it was kept for this tab alone, until that is closed. @param {string} store @param {object} values */
export function keepInTab(store, values) {
  try {
    sessionStorage.setItem(store, JSON.stringify(values));
    return true;
  } catch {
    return false;
  }
}

/** @param {string} store @returns {any} nothing where there is none */
export function keptInTab(store) {
  try {
    return JSON.parse(sessionStorage.getItem(store) ?? "null");
  } catch {
    return undefined;
  }
}
