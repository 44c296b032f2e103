/**
 * The focus never falls to the page's body. Where what has it is hidden, disabled or taken away, an heir gets it: the attribute `data-heir` of the
 * element itself, or of what it lay in, names selectors, best first. It never goes to another button of the place: whoever holds a key down
 * would press that too.
 */

/** Watches the whole page. */
export function keepFocus() {
  /** What has the focus, and what it lies in. @type {Element[]} */
  let line = [];
  document.addEventListener("focusin", ({ target }) => {
    line = [];
    for (let each = target instanceof Element ? target : null; each; each = each.parentElement) line.push(each);
  });
  document.addEventListener("focusout", ({ relatedTarget }) => {
    const [left] = line;
    // A reader who clicks beside everything means it; a window that is left keeps its place.
    if (!relatedTarget) setTimeout(() => document.activeElement === document.body && left === line[0] && usable(left) && (line = []));
  });
  const look = () => {
    const [had] = line;
    const { activeElement } = document;
    if (!had || usable(had) || (activeElement && activeElement !== document.body && activeElement !== had)) return;
    const selectors = line.map((each) => each.getAttribute("data-heir")).filter((each) => each !== null);
    const heirs = selectors.flatMap((each) => each.split(", ")).map((each) => document.querySelector(each));
    const heir = heirs.find((each) => each instanceof HTMLElement && usable(each));
    if (heir instanceof HTMLElement) heir.focus({ preventScroll: true });
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["hidden", "disabled", "open"] });
}

/** Whether it can have the focus. @param {Element | undefined} element */
function usable(element) {
  return Boolean(element?.isConnected && element.checkVisibility({ visibilityProperty: true }) && !element.matches(":disabled"));
}
