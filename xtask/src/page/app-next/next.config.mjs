import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

// A folder of files, as any static host serves it. The application is this folder, whatever packages lie above it.
export default { output: "export", turbopack: { root: dirname(fileURLToPath(import.meta.url)) } };
