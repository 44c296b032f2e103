// @ts-check

/** The controls that are too small for a finger. */
export function small() {
  /** @type {NodeListOf<HTMLElement>} */
  const controls = document.querySelectorAll("button, input, select, textarea, summary");
  const isSmall = (/** @type {HTMLElement} */ each) =>
    each.offsetParent && each.getBoundingClientRect().height < 24 && !each.closest("#story") && !each.matches("[type=checkbox], [type=file]");
  return [...controls].filter(isSmall).map((each) => each.id || each.textContent.trim());
}

/** How light the page's ground and its ink are, from 0 to 255. */
export function light() {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser draws no pictures here");
  const mean = (/** @type {string} */ colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    return (red + green + blue) / 3;
  };
  const grounds = [document.body, document.documentElement].map((each) => getComputedStyle(each).backgroundColor);
  const ground = grounds.find((each) => !/, 0\)$|transparent/.test(each)) ?? "white";
  return { ground: mean(ground), ink: mean(getComputedStyle(document.body).color) };
}

/** What sticks out of the window. */
export function cut() {
  const sticksOut = (/** @type {Element} */ each) => {
    const { left, right, width } = each.getBoundingClientRect();
    return width > 1 && !each.closest(".unseen, .skip, #film, pre, .table, .maths") && (right > document.documentElement.clientWidth + 1 || left < -1);
  };
  return [...document.querySelectorAll("main *, header *, footer *")].filter(sticksOut).map((each) => each.id || each.tagName);
}
