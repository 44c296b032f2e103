// rollup.mjs ROLLUP NODE-RESOLVE OUT: the application, and the worker as an entry of its own.
const [, , rollup, resolve, dir] = process.argv;
const { rollup: read } = await import(`${rollup}/dist/es/rollup.js`);
const { nodeResolve } = await import(`${resolve}/dist/es/index.js`);
const bundle = await read({ input: { main: "main.js", worker: "vitrine/worker" }, plugins: [nodeResolve()] });
await bundle.write({ dir, format: "es" });
