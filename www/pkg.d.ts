/** The glue that wasm-bindgen writes, before it has written it. */
declare module "*/pkg/vitrine.js" {
  const face: typeof import("./wasm-face.js");
  export = face;
}
