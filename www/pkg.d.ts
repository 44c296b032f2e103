/** The glue that wasm-bindgen writes, before it has written it. */
declare module "*/pkg/vitrine.js" {
  const face: typeof import("./wasm-face.js");
  export = face;
}

/** The same of the crate `constraints`, whose methods throw `Error`s. */
declare module "*/pkg/constraints.js" {
  export default function init(options: { module_or_path: string | URL }): Promise<unknown>;
  export class Vocabulary {
    constructor(bytes: Uint8Array, ends: Uint32Array, marks: Uint8Array, end: number);
    matcher(request: string): Matcher;
    free(): void;
  }
  export class Matcher {
    mask(): Uint32Array;
    take(token: number): void;
    forced(): Uint8Array;
    accepts(tokens: Uint32Array): number;
    readonly isComplete: boolean;
    free(): void;
  }
}
