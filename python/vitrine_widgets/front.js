/**
 * What a notebook's page runs: it fetches Vitrine from the kernel, or from the copy that `base` names, once for a page, and lets anywidget.js render.
 *
 * To the kernel: { file: name } · From the kernel: { file: name } with its bytes, or { file, missing: why }
 */

/** What pages hold of each version. */
const HELD = Symbol.for("vitrine-widgets");

/** A file of the Python package. */
function fileOf(model, name) {
  return new Promise((resolve, reject) => {
    const heard = (message, buffers) => {
      if (message?.file !== name) return;
      model.off("msg:custom", heard);
      if (message.missing) reject(new Error(message.missing));
      else resolve(buffers[0]);
    };
    model.on("msg:custom", heard);
    model.send({ file: name });
  });
}

const address = (bytes, type) => URL.createObjectURL(new Blob([bytes], { type }));

/** Vitrine as the kernel hands it over: its module, and addresses of the models that were asked for. */
async function fromKernel(model) {
  const names = ["anywidget.js", "worker.js", "vitrine_bg.wasm", "constraints_bg.wasm", "models/catalog.json"];
  const [module, worker, wasm, constraints, list] = await Promise.all(names.map((name) => fileOf(model, name)));
  const { models } = JSON.parse(new TextDecoder().decode(list));
  const { default: widget, define, setPageOptions } = await import(address(module, "text/javascript"));
  // What the kernel holds is asked of it by name; what others have published has an address.
  const elsewhere = models.filter(({ file }) => /^(hf|https?):/.test(file));
  setPageOptions({
    worker: address(worker, "text/javascript"),
    wasm: address(wasm, "application/wasm"),
    constraints: address(constraints, "application/wasm"),
    catalog: address(JSON.stringify({ models: elsewhere }), "application/json"),
  });
  const files = new Map(models.filter((each) => !elsewhere.includes(each)).map(({ id, file }) => [id, file]));
  return { widget, define, files, addresses: new Map() };
}

/** The address of a model of the package, by its name. */
function modelAt({ files, addresses }, model, id) {
  if (!addresses.has(id)) {
    const coming = fileOf(model, `models/${files.get(id)}`).then((bytes) => address(bytes, "application/octet-stream"));
    addresses.set(id, coming);
    coming.catch(() => addresses.delete(id));
  }
  return addresses.get(id);
}

/** Something that is made once for a page, and again where it failed. */
function once(key, make) {
  const held = (globalThis[HELD] ??= new Map());
  if (!held.has(key)) {
    const made = make();
    held.set(key, made);
    made.catch(() => held.delete(key));
  }
  return held.get(key);
}

/** A notebook's model whose attributes name, in the place of a model of the package, the address at which the page has it. */
async function placed(model, held) {
  // What there is no element of is told where it is rendered.
  const [element] = await held.define(model.get("tag")).catch(() => []);
  const wanted = () => model.get("attributes").model ?? element?.attributes.model?.fallback;
  let own = {};
  const find = async () => {
    const id = wanted();
    const found = held.files.has(id) ? { model: await modelAt(held, model, id) } : {};
    if (wanted() === id) own = found;
  };
  const listeners = new Map();
  const face = {
    get: (name) => (name === "attributes" ? { ...model.get(name), ...own } : model.get(name)),
    set: (name, value) => model.set(name, value),
    save_changes: () => model.save_changes(),
    on(name, listener) {
      const heard = name === "change:attributes" ? () => find().then(listener) : listener;
      listeners.set(listener, heard);
      model.on(name, heard);
    },
    off(name, listener) {
      model.off(name, listeners.get(listener));
      listeners.delete(listener);
    },
  };
  await find();
  return face;
}

async function begin(model, el) {
  const base = model.get("base");
  if (base) {
    const { href } = new URL("anywidget.js", new URL(base.endsWith("/") ? base : `${base}/`, document.baseURI));
    const { default: widget } = await once(href, () => import(href));
    return widget.render({ model, el });
  }
  const held = await once(model.get("version"), () => fromKernel(model));
  return held.widget.render({ model: await placed(model, held), el });
}

export default {
  async render({ model, el }) {
    let isGone = false;
    let end;
    const begun = begin(model, el).then((ended) => {
      end = ended;
      if (isGone) end?.();
    });
    begun.catch((error) => {
      const sentence = `Vitrine could not be started in this notebook: ${error.message}`;
      el.textContent = sentence;
      model.set("state", "failed");
      model.set("error", sentence);
      model.save_changes();
    });
    return () => {
      isGone = true;
      end?.();
    };
  },
};
