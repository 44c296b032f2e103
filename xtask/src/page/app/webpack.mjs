// webpack.mjs WEBPACK OUT [PUBLIC-PATH]: what `webpack --mode production` does.
const [, , webpack, path, publicPath = "auto"] = process.argv;
const { default: compile } = await import(`${webpack}/lib/index.js`);
compile({ mode: "production", context: process.cwd(), entry: "./main.js", output: { path, publicPath } }, (error, stats) => {
  const told = error ?? stats.toString({ all: false, errors: true, warnings: true });
  if (told) console.log(String(told));
  process.exitCode = error || stats.hasErrors() ? 1 : 0;
});
