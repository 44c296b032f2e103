/** The glue that wasm-bindgen writes, before it has written it. */
declare module "*/pkg/vitrine.js" {
  const face: import("./wasm-face.js").Face;
  export = face;
}
