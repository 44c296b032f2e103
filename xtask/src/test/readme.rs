//! The JavaScript that the documents show, as TypeScript: what a reader copies compiles.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    npm,
    workspace::{self, Workspace},
};

/// Documents, and how many blocks of JavaScript each holds at least: none found is no test.
const DOCUMENTS: [(&str, usize); 3] = [("README.md", 2), ("docs/embedding.md", 3), ("xtask/src/package/README.md", 2)];

/// What TypeScript knows of the package before anything runs; each line that is expected to be wrong must be.
const KNOWN: &str = r#"
import { Engine, type Autoencoder, type Encoder, type ImageModel, type TextModel, type Tokenizer } from "vitrine";
import { define, type VitrineText } from "vitrine/widgets";
import { chat, fetch } from "vitrine/openai";
import widget, { setPageOptions } from "vitrine/anywidget";
await using engine: Engine = await Engine.create({ worker: "/vitrine/worker.js", wasm: new URL("https://example.org/vitrine_bg.wasm") });
const painter: ImageModel = await engine.load("illustrator");
const writer: TextModel = await engine.load("storyteller");
const faces: Autoencoder = await engine.load("faces-vae");
const encoder: Encoder = await engine.load("hf://owner/repo", { kind: "encoder" });
const tokenizer: Tokenizer = await engine.tokenizer("hf://owner/repo/tokenizer.json");
for (const each of [writer, encoder, tokenizer]) await each.detokenize(await each.tokenize("a fox"), { skipSpecialTokens: false });
for (const each of [painter, writer, faces, encoder, tokenizer, engine]) await each.close();
// @ts-expect-error an image model is no text model
const wrong: TextModel = await engine.load("illustrator");
// @ts-expect-error transformers' name
writer.generate("a", { max_new_tokens: 3 });
// @ts-expect-error diffusers' name
painter.generate({ prompt: "a fox", num_inference_steps: 3 });
const element: VitrineText | null = document.querySelector("vitrine-text");
const [Text] = await define("vitrine-text");
export { Text, chat, element, fetch, setPageOptions, widget, wrong };
"#;

/// What the blocks leave to their reader.
const READERS: &str = "declare function show(text: string): void;\ndeclare function draw(picture?: ImageData): void;\n";

/// As an editor would check it in a project with a bundler, and in one without.
const CONFIGURATION: &str = r#"{
  "compilerOptions": {
    "strict": true, "noEmit": true, "target": "esnext", "module": "MODULE", "moduleResolution": "RESOLUTION",
    "lib": ["esnext", "dom", "dom.iterable", "dom.asynciterable"], "types": [], "skipLibCheck": false
  },
  "include": ["*.ts"]
}
"#;

/// Runs `tsc` over all blocks of JavaScript, in strict mode. A document's blocks are one module: later ones go on from earlier ones.
pub fn check(workspace: &Workspace) -> Result<()> {
    let tsc = npm::program(workspace, &npm::TYPESCRIPT, "tsc")?;
    let folder = workspace.target.join("documents");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    // Beside the module, as README has it, and as a package.
    let package = folder.join("node_modules").join("vitrine");
    fs::create_dir_all(&package)?;
    for name in ["vitrine", "widgets", "openai", "anywidget"] {
        for file in [format!("{name}.js"), format!("{name}.d.ts")] {
            fs::copy(workspace.root.join("www").join(&file), package.join(&file))?;
        }
    }
    fs::copy(workspace.root.join("www/package.json"), package.join("package.json"))?;
    for types in ["vitrine.d.ts", "values.d.ts"] {
        fs::copy(workspace.root.join("www").join(types), folder.join(types))?;
    }
    fs::copy(folder.join("values.d.ts"), package.join("values.d.ts"))?;
    fs::write(folder.join("package.json"), "{ \"type\": \"module\" }\n")?;
    for (document, least) in DOCUMENTS {
        let file = workspace.root.join(document);
        let blocks = blocks(&fs::read_to_string(&file).with_context(|| file.display().to_string())?);
        ensure!(blocks.len() >= least, "{document} holds {} blocks of JavaScript, {least} were there", blocks.len());
        let name = Path::new(document).with_extension("").to_string_lossy().to_lowercase().replace('/', "-");
        fs::write(folder.join(format!("{name}.ts")), format!("{}{READERS}", blocks.concat()))?;
    }
    fs::write(folder.join("known.ts"), KNOWN)?;
    for (module, resolution) in [("esnext", "bundler"), ("nodenext", "nodenext")] {
        let configuration = CONFIGURATION.replace("MODULE", module).replace("RESOLUTION", resolution);
        fs::write(folder.join("tsconfig.json"), configuration)?;
        workspace::run(workspace.command(&tsc).arg("--project").arg(&folder))?;
    }
    Ok(())
}

/// What stands between fences that say `js`.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open = false;
    for line in document.lines() {
        match line.trim() {
            "```js" => {
                open = true;
                blocks.push(String::new());
            }
            "```" => open = false,
            _ if open => blocks.last_mut().into_iter().for_each(|block| *block += &format!("{line}\n")),
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn javascript_alone_is_taken_from_a_document() {
        let document = "# A\n```js\nlet a;\nlet b;\n```\ntext\n```sh\nls\n```\n```js\nlet c;\n```\n";
        assert_eq!(blocks(document), ["let a;\nlet b;\n", "let c;\n"]);
    }
}
