/** Keeps the page for days without a connection, once all that it needs now is here. */

import { element } from "./dom.js";

export async function keepOffline() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL("../sw.js", import.meta.url), { type: "module" });
    await navigator.serviceWorker.ready;
    element("offline", HTMLElement).textContent = "This page is kept in your browser and opens without a connection.";
  } catch {
    // A browser that keeps no pages: this one then needs its server each time, and says nothing else.
  }
}
