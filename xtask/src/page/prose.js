// @ts-check
/** @typedef {import("../../../www/page/chat/prose.js").Prose} Prose */

/** Something of everything, as models write it. */
const SAMPLE = `# A title

First a paragraph with **bold**, *slanted*, \`code\`, ~~gone~~ words and a [link](https://example.org/a?b=1&c=2).
A second line, H<sub>2</sub>O and x<sup>2</sup>, &amp; an entity.

1. one
2. two
   - inside *two*
   - more

   a second paragraph of two
3. three

- [x] done
- [ ] open

> quoted
> **twice**

| name | value |
|:-----|------:|
| a | 1 |
| b \`x\` | $y^2$ |

\`\`\`rust
fn main() {
    println!("<b>{}</b>", "|");
}
\`\`\`

Costs $5 and $10, but $a^2 + b^2 = c^2$ and \\(e^{i\\pi} = -1\\).

$$
\\int_0^1 x^2 \\, dx = \\frac{1}{3}
$$

\\[ \\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix} \\]

---

The end.`;

/** What a stranger might have a model write. */
const NASTY = `<script>window.hit = 1</script> <img src=x onerror="window.hit = 2"> <svg onload="window.hit = 3"></svg>

<iframe src="https://example.org"></iframe>
<style>body { display: none }</style>
<a href="javascript:window.hit = 4" onclick="window.hit = 5">raw</a>

[a](javascript:window.hit=6) [b](data:text/html,<script>window.hit=7</script>) [c](vbscript:x) [d](JAVASCRIPT:window.hit=8) [e](/relative) [f](<java
script:window.hit=9>) [g](https://example.org/ok "title\\"onmouseover=window.hit=10") <javascript:window.hit=11>

![tracked](https://example.org/pixel.png?who=you) ![inline](data:image/svg+xml,<svg onload=alert(1)>)

[ref]: javascript:window.hit=12
[ref] &lt;img src=x onerror=window.hit=13&gt; &#60;script&#62;

| <img src=x onerror=window.hit=14> | b |
|---|---|
| <script>1</script> | [x](javascript:1) |

$\\href{javascript:window.hit=15}{x}$ $\\url{javascript:1}$ $\\includegraphics{https://example.org/x.png}$ $\\class{evil}{x}$ $\\style{color:red}{x}$

\`\`\`"><script>window.hit=16</script>
</code></pre><script>window.hit=17</script>
\`\`\`
`;

const frame = () => new Promise((resolve) => requestAnimationFrame(() => resolve(undefined)));

function box() {
  const made = document.createElement("div");
  made.className = "words";
  document.querySelector("#messages")?.append(made);
  return made;
}

/** @param {string} text */
async function whole(text) {
  const { Prose } = await import("/page/chat/prose.js");
  const made = box();
  const prose = new Prose(made);
  prose.write(text);
  prose.end();
  return made;
}

/** Waits until all formulas are drawn; those that cannot be keep their source. @param {HTMLElement} made */
async function drawn(made) {
  await import("/vendor/temml.js");
  for (let tries = 0; tries < 100 && made.querySelector(".maths > code"); tries++) await frame();
}

/** The same text whole, and in pieces of every size: what is shown in the end, and whether what was finished stayed the same element. */
export async function streamed() {
  const { Prose } = await import("/page/chat/prose.js");
  const expected = await whole(SAMPLE);
  await drawn(expected);
  const seen = [];
  for (const size of [1, 7, 40, 300]) {
    const made = box();
    const prose = new Prose(made);
    /** @type {Element | null} */
    let first = null;
    let stayed = true;
    for (let at = 0, piece = 0; at < SAMPLE.length; at += size, piece += 1) {
      prose.write(SAMPLE.slice(at, at + size));
      if (size > 1 || piece % 12 === 0) await frame();
      if (made.children.length > 2) {
        first ??= made.firstElementChild;
        stayed &&= first === made.firstElementChild;
      }
    }
    prose.end();
    await drawn(made);
    seen.push({ size, same: made.innerHTML === expected.innerHTML, stayed, html: made.innerHTML === expected.innerHTML ? "" : made.innerHTML });
  }
  const tags = [...new Set([...expected.querySelectorAll("*")].map(({ localName }) => localName))].sort();
  const formulas = expected.querySelectorAll("math").length;
  return { seen, tags, formulas, text: expected.innerText, code: expected.querySelector("pre")?.innerText, start: expected.querySelectorAll("ol > li").length };
}

/** What becomes of a text that means harm. */
export async function harmed() {
  const made = await whole(NASTY);
  await drawn(made).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 300));
  const all = [...made.querySelectorAll("*")];
  return {
    hit: "hit" in window,
    tags: [...new Set(all.map(({ localName }) => localName))].filter((tag) => ["script", "img", "iframe", "style", "svg", "object", "embed", "form", "input", "link", "meta", "base"].includes(tag)),
    handlers: all.flatMap((each) => each.getAttributeNames().filter((name) => name.startsWith("on"))),
    links: all.flatMap((each) => [each.getAttribute("href"), each.getAttribute("src"), each.getAttribute("xlink:href")].filter((href) => href !== null)),
    rels: [...made.querySelectorAll("a")].every(({ rel, target }) => rel.includes("noopener") && rel.includes("noreferrer") && target === "_blank"),
    shown: made.innerText.includes("<script>window.hit = 1</script>") && made.innerText.includes("onerror"),
    fetched: performance.getEntriesByType("resource").filter(({ name }) => !name.startsWith(location.origin)).map(({ name }) => name),
  };
}

/** What is shown of texts that are not finished. */
export async function unfinished() {
  const { Prose } = await import("/page/chat/prose.js");
  /** @type {Record<string, string>} */
  const seen = {};
  for (const [name, text] of Object.entries({
    fence: "Look:\n\n```js\nlet a = 1;\nlet b",
    head: "| a | b",
    line: "| a | b |\n|--",
    row: "| a | b |\n|---|---|\n| 1 | 2",
    bold: "so **very bo",
    code: "call `f(x",
    link: "see [the page](https://exam",
  })) {
    const made = box();
    new Prose(made).write(text);
    await frame();
    await frame();
    seen[name] = made.innerHTML;
  }
  return seen;
}

/** How many characters are read for a long answer that comes in small pieces, over the characters that it has. */
export async function effort() {
  const [{ Marked }, { Prose }] = [await import("/vendor/marked.js"), await import("/page/chat/prose.js")];
  const paragraph = "Some words that go on for a while, with **emphasis** and `code` in them, as answers have. ".repeat(3);
  const text = `${`${paragraph}\n\n`.repeat(60)}\`\`\`js\n${"const line = 'of code';\n".repeat(700)}\`\`\`\n\n${`${paragraph}\n\n`.repeat(60)}`;
  const { lexer } = Marked.prototype;
  let read = 0;
  Marked.prototype.lexer = function (/** @type {string} */ given) {
    read += given.length;
    return lexer.call(this, given);
  };
  const made = box();
  const prose = new Prose(made);
  const pieces = 240;
  for (let piece = 0; piece < pieces; piece += 1) {
    prose.write(text.slice(Math.floor((piece * text.length) / pieces), Math.floor(((piece + 1) * text.length) / pieces)));
    await frame();
  }
  prose.end();
  Marked.prototype.lexer = lexer;
  return { read: read / text.length, length: text.length, blocks: made.children.length };
}
