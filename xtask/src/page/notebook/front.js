// The front end of a notebook, as far as one widget needs it: Jupyter's own base of widgets and anywidget's own model and view, with messages over HTTP.
import * as base from "@jupyter-widgets/base";
import { ManagerBase } from "@jupyter-widgets/base-manager";

const bytes = (text) => new DataView(Uint8Array.from(atob(text), (each) => each.charCodeAt(0)).buffer);
const text = (buffer) => btoa(Array.from(new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, buffer.byteLength), (each) => String.fromCharCode(each)).join(""));

/** anywidget's front end is a module of AMD. @param {string} address */
async function anywidget(address) {
  const defined = new Promise((resolve) => (globalThis.define = (_, make) => resolve(make(base))));
  await import(address);
  return defined;
}

class Comm {
  constructor(door, id) {
    Object.assign(this, { door, comm_id: id, target_name: "jupyter.widget" });
  }
  on_msg(listener) {
    this.listener = listener;
  }
  on_close() {}
  send(data, callbacks, _metadata, buffers = []) {
    this.door.ask("message", { comm: this.comm_id, data, buffers: buffers.map(text) }).then(() => callbacks?.iopub?.status?.({ content: { execution_state: "idle" } }));
    return "";
  }
  close() {
    return "";
  }
}

/** The way to the kernel: what it tells is handed to its comm. */
class Door {
  comms = new Map();
  turn = Promise.resolve();
  constructor(address) {
    this.address = address;
  }
  ask(path, body) {
    // One after the other, as messages of a socket come.
    this.turn = this.turn.then(async () => {
      const messages = await (await fetch(`${this.address}/${path}`, { method: "POST", body: JSON.stringify(body) })).json();
      for (const { type, comm, data, metadata, buffers } of messages) {
        const message = { content: { comm_id: comm, data, target_name: "jupyter.widget" }, metadata, buffers: buffers.map(bytes) };
        if (type === "comm_open") await this.opened(message);
        else if (type === "comm_msg") await this.comms.get(comm)?.listener?.(message);
      }
    });
    return this.turn;
  }
}

class Manager extends ManagerBase {
  constructor(door, widgets) {
    super();
    Object.assign(this, { door, widgets });
    door.opened = (message) => {
      const comm = new Comm(door, message.content.comm_id);
      door.comms.set(comm.comm_id, comm);
      return this.handle_comm_open(comm, message);
    };
  }
  async loadClass(name, module) {
    return module === "anywidget" ? this.widgets[name] : base[name];
  }
  async _create_comm(_target, id) {
    return new Comm(this.door, id);
  }
  async _get_comm_info() {
    return {};
  }
}

/** Shows the kernel's widget in a place of the page. */
export async function show({ kernel, anywidget: address, el }) {
  const door = new Door(kernel);
  const manager = new Manager(door, await anywidget(address));
  // What the kernel said before there was a page.
  await door.ask("opened", null);
  const { id } = await (await fetch(`${kernel}/traits`)).json();
  const model = await manager.get_model(id);
  const view = await manager.create_view(model);
  el.append(view.el);
  return { ask: (path, body) => door.ask(path, body), remove: () => view.remove() };
}
