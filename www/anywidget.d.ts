/** The elements of `widgets.js` for anywidget's front end: Jupyter, marimo, MyST. anywidget.js says which traits a model has. */

import type { EngineOptions } from "./vitrine.js";

interface AnyModel {
  get(name: string): any;
  set(name: string, value: unknown): void;
  save_changes(): void;
  on(event: string, listener: (...told: any[]) => void): void;
  off(event: string, listener?: (...told: any[]) => void): void;
}

/** Options of the engines that widgets open from now on: where their files lie, for one. */
export function setPageOptions(options: EngineOptions): void;

export { define } from "./widgets.js";

declare const widget: { render(cell: { model: AnyModel; el: HTMLElement }): Promise<(() => void) | undefined> };
export default widget;
