/** Where a widget may stand, each with the lines that it takes. docs/embedding.md has the whole of it. */

/** @typedef {{ base: string, element: string, html: string, link: string }} Given `base`: the address of this copy; `element`: without its script */
/** @typedef {{ name: string, note: string, lines: (given: Given) => string }} Recipe */

/** @type {Recipe[]} */
export const RECIPES = [
  { name: "Plain HTML", note: "Anywhere in the body; the script once in a page. A copy of this site's folder on your own host serves as well.", lines: ({ html }) => html },
  {
    name: "In a frame",
    note: "For editors that take no scripts but frames: this page, with nothing on it but the widget as it stands.",
    lines: ({ link }) => `<iframe src="${link.replace("embed.html#", "embed.html?alone#").replaceAll("&", "&amp;").replaceAll('"', "&quot;")}" title="A model to try" width="100%" height="480" allow="clipboard-write"></iframe>`,
  },
  { name: "From another origin", note: "The server of the copy answers every file with this header.", lines: () => "Access-Control-Allow-Origin: *" },
  {
    name: "Under a Content-Security-Policy",
    note: "For a copy on another origin; of the page's own, 'self' stands for it and for blob:.",
    lines: ({ base }) => {
      const { origin } = new URL(base);
      return `script-src ${origin} 'wasm-unsafe-eval'; worker-src blob: ${origin}; connect-src ${origin}`;
    },
  },
  { name: "MkDocs Material", note: "In mkdocs.yml, with the folder copied to docs/vitrine/; the element stands in the Markdown as it is.", lines: ({ element }) => `# mkdocs.yml\nextra_javascript: [{ path: vitrine/widgets.js, type: module }]\n\n<!-- a page -->\n${element}` },
  { name: "Sphinx with MyST", note: "In conf.py, with the folder copied to _static/vitrine/; the element stands in the Markdown as it is.", lines: ({ element }) => `# conf.py\nhtml_js_files = [("vitrine/widgets.js", {"type": "module"})]\n\n<!-- a page -->\n${element}` },
  { name: "reveal.js", note: "What is typed into a widget turns no slide.", lines: ({ html }) => `${html.split("\n")[0]}\n<section>\n  ${html.split("\n")[1]}\n</section>` },
];

/** A cell of a notebook. @param {string} tag @param {[string, string][]} attributes */
export function cell(tag, attributes) {
  const name = tag.replace(/^vitrine-/, "").replace(/^./, (letter) => letter.toUpperCase());
  const keywords = attributes.map(([key, value]) => `${key.replaceAll("-", "_")}=${value === "" && key !== "prompt" ? "True" : JSON.stringify(value)}`);
  return `from vitrine_widgets import ${name}\n${name}(${keywords.join(", ")})`;
}
