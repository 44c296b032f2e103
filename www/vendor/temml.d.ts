/** What the page uses of temml 0.13: TeX into the children of an element, as MathML. */

declare const temml: {
  render(tex: string, into: Element, options?: { displayMode?: boolean; throwOnError?: boolean; trust?: boolean; maxSize?: [number, number]; maxExpand?: number }): void;
};
export default temml;
