// @ts-check

/**
 * The kernel's widget in the page, while the kernel calls it and changes its attributes; then it is taken out. Each call waits for another outcome or
 * for a failure, or for nothing.
 * @param {{ kernel: string, calls: [string, unknown, "outcome" | "failed" | ""][] }} args
 */
export async function inNotebook({ kernel, calls }) {
  const address = "/notebook/front.js";
  const { show } = await import(address);
  const el = document.createElement("div");
  document.body.append(el);
  const shown = await show({ kernel, anywidget: "/npm/anywidget/dist/index.js", el });
  const told = [];
  const traits = async () => (await fetch(`${kernel}/traits`)).json();
  /** @param {(traits: any) => boolean} holds */
  const until = async (holds) => {
    for (let tries = 0; tries < 1200; tries++) {
      const now = await traits();
      if (holds(now)) return now;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the kernel still says ${JSON.stringify(await traits())}`);
  };
  await until(({ state }) => state === "ready");
  for (const [path, body, wait] of calls) {
    const before = JSON.stringify((await traits()).outcome);
    await shown.ask(path, body);
    const outcome = (/** @type {any} */ now) => now.state === "ready" && JSON.stringify(now.outcome) !== before;
    told.push(wait === "outcome" ? await until(outcome) : wait === "failed" ? await until(({ state }) => state === "failed") : await traits());
  }
  const element = el.querySelector("vitrine-text, vitrine-image");
  const attributes = Object.fromEntries((element?.getAttributeNames() ?? []).map((name) => [name, element?.getAttribute(name)]));
  shown.remove();
  return { told, attributes, left: el.querySelectorAll("vitrine-text, vitrine-image").length };
}

/**
 * anywidget.js by its address, as MyST imports it, with a model that is an object of the page.
 * @param {{ traits: Record<string, unknown> }} args
 */
export async function byAddress({ traits }) {
  const { default: widget } = await import("/anywidget.js");
  /** @type {Map<string, ((...told: any[]) => void)[]>} */
  const listeners = new Map();
  /** @type {() => void} */
  let finish = () => {};
  const finished = new Promise((resolve) => (finish = () => resolve(undefined)));
  const model = {
    get: (/** @type {string} */ name) => traits[name],
    set: (/** @type {string} */ name, /** @type {unknown} */ value) => void (traits[name] = value),
    save_changes: () => void (("outcome" in traits || traits.state === "failed") && finish()),
    on: (/** @type {string} */ name, /** @type {any} */ listener) => void listeners.set(name, [...(listeners.get(name) ?? []), listener]),
    off: (/** @type {string} */ name) => void listeners.delete(name),
  };
  const el = document.createElement("div");
  document.body.append(el);
  const end = await widget.render({ model, el });
  for (const listener of listeners.get("msg:custom") ?? []) listener({ call: "write" });
  await finished;
  end?.();
  return { ...traits, left: el.children.length, listeners: listeners.size };
}
