"use client";

// The application of ../app, as a page of Next.js: rendered on a server first, where all of this is imported too.
import { useEffect, useRef } from "react";
import { Engine } from "vitrine";
import { define } from "vitrine/widgets";

async function tried(ready) {
  const engine = await Engine.create({ device: "cpu" });
  const writer = await engine.load("storyteller");
  const text = await writer.generate("One day", { maxTokens: 8, temperature: 0 }).text();
  const painter = await engine.load("illustrator");
  const { width } = await painter.generate({ prompt: "a fox", steps: 1, seed: 1 }).picture();
  const faces = await engine.load("faces-gan");
  const [Text] = await define("vitrine-text");
  const widget = [Text.name.length > 0, await ready];
  return `OK ${JSON.stringify({ text, width, faces: faces.info.kind, widget })}`;
}

export default function Page() {
  const widget = useRef(null);
  useEffect(() => {
    // It may have been ready before the page was.
    const ready = new Promise((resolve) => {
      widget.current.addEventListener("ready", () => resolve("ready"));
      if (widget.current.shadowRoot?.querySelector("button")?.disabled === false) resolve("ready");
    });
    tried(ready).then(
      (told) => (document.title = told),
      (error) => (document.title = `ERR ${error.code ?? error.name}: ${error.message}`),
    );
  }, []);
  return <vitrine-text ref={widget} device="cpu" prompt="One day"></vitrine-text>;
}
