"""Writes models/catalog.json: the house models with their size and SHA-256, then well-known models by address.

    python training/make_catalog.py

`file` (relative to the catalog, or an hf:// address), `bytes` and `sha256` repeat the one file of `files` for
readers that load a single file. A size or a checksum that is not known exactly is left out.
"""

from __future__ import annotations

import hashlib
import json
import math

import gguf
from safetensors.torch import load_file

from llama_gguf import read_shape
from pictures.world import CHARACTER_NAMES, GROUND_NAMES, THING_NAMES, TIME_NAMES, WEATHER_NAMES
from smol_shapes import ROOT
from stories.lexicon import load

STORYTELLER = {
    "id": "storyteller",
    "kind": "text",
    "name": "Storyteller",
    "description": "Tells small stories about animals, people and the things that they find. Made for this page; works offline.",
    "license": "MIT OR Apache-2.0",
    "trainedOn": "Stories that a generator of this project writes (125 characters, 266 things, 66 places, 60 plots), some 1,500 TinyStories and pieces of old fairy tales.",
    "goodAt": "A story about somebody who finds something somewhere: short, sad, funny, brave, mysterious or for bedtime; a title, a line for a picture and questions about it; a name that you ask for; going on from a beginning.",
    "badAt": "Surprises, for it knows sixty plots; what really happens to a thing; anything that is not a small story.",
    "chat": True,
    "prompts": [
        "Tell me a story about a fox who finds a lantern in the snow.",
        "Tell a short story about an owl and a teapot in the moonlight. Make it funny.",
        "Write a sad story about a robot who finds a music box in the attic.",
        "A bedtime story about a whale and a star by the sea. Give it a title.",
        "A brave story about a mouse who finds a key in the castle.",
    ],
    "beginnings": ["One winter day, a fox was out in the snow.", "One evening, an owl set out in the moonlight.", "Far away, on the moon, lived a robot."],
    "world": "storyteller/world.json",
}

ILLUSTRATOR = {
    "id": "illustrator",
    "kind": "image",
    "name": "Illustrator",
    "description": "Paints small pictures, 64 by 64, of animals, people and things in ten places. Made for this page; works offline.",
    "license": "MIT OR Apache-2.0; its drawings are from Noto Emoji, Apache-2.0",
    "trainedOn": "Pictures that a renderer of this project paints: 52 Noto Emoji drawings on ten painted grounds, by day, at sunset and at night, in rain and snowfall.",
    "goodAt": "One animal or thing in one place, with time of day and weather; negative prompts; a different picture for every seed.",
    "badAt": "Fine detail, faces, two different subjects together, exact numbers, and words that it never met.",
    "prompts": [
        "a fox in the snow at night",
        "two cats on the beach at sunset",
        "a robot next to a lantern in the desert",
        "a whale on the sea in the rain",
        "a rocket in space",
        "three apples in the kitchen",
    ],
    "world": "illustrator/world.json",
}

FACES_VAE = {
    "id": "faces-vae",
    "kind": "autoencoder",
    "name": "Faces, there and back",
    "description": "An autoencoder that knows faces as eight numbers, and finds the eight numbers of a face. Made for this page; works offline.",
    "license": "MIT OR Apache-2.0",
    "trainedOn": "Emoji faces of 64 by 64 pixels that a painter of this project makes from eight knobs, without end.",
    "goodAt": "Walking: each number means one thing, and every way between two faces is one of faces.",
    "badAt": "Crisp edges, and pictures that are no round faces: it takes everything for one.",
    "axes": [
        {"name": "Mood", "low": "crying", "high": "laughing"},
        {"name": "Mouth", "low": "shut", "high": "open"},
        {"name": "Eyes", "low": "asleep", "high": "wide"},
        {"name": "Brows", "low": "angry", "high": "worried"},
        {"name": "Turn", "low": "left", "high": "right"},
        {"name": "Colour", "low": "blue", "high": "pink"},
        {"name": "Hat, east", "low": "west: beanie", "high": "east: glasses"},
        {"name": "Hat, north", "low": "south: party hat", "high": "north: hair"},
    ],
    "plane": [0, 5],
    "start": [0.9, -0.4, 0.4, 0.2, 0, 0, 0, 0],
}

FACES_GAN = {
    "id": "faces-gan",
    "kind": "generator",
    "name": "Faces from nothing",
    "description": "A generator that learned to fool a critic: harder edges, wilder faces, and no way back from a face to its numbers. Made for this page; works offline.",
    "license": "MIT OR Apache-2.0",
    "trainedOn": "The same painted faces: it began as the autoencoder's decoder and went on with a critic's word alone.",
    "goodAt": "Crisp new faces from eight random numbers.",
    "badAt": "One face in five comes out scrambled around the eyes; it has no way back from a picture.",
    "axes": FACES_VAE["axes"],
    "plane": [0, 5],
}

REMOTE = [
    {
        "id": "smollm2-135m-instruct", "name": "SmolLM2 135M Instruct", "parameters": 134515008, "context": 8192, "license": "Apache-2.0",
        "file": "hf://unsloth/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_K_M.gguf", "bytes": 105454144,
        "sha256": "ed5fa30c487b282ec156c29062f1222e5c20875a944ac98289dbd242e947f747",
        "description": "A small assistant that chats in English.",
        "trainedOn": "Two trillion tokens of web pages, code and textbooks (FineWeb-Edu, DCLM, The Stack and others), then instructions.",
        "goodAt": "Short answers, rewriting, simple explanations in English.", "badAt": "Facts, arithmetic, other languages.",
    },
    {
        "id": "smollm2-135m-instruct-q8", "name": "SmolLM2 135M Instruct (8 bit)", "parameters": 134515008, "context": 8192, "license": "Apache-2.0",
        "file": "hf://bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q8_0.gguf",
        "description": "The same small assistant with less rounding.",
        "trainedOn": "As SmolLM2 135M Instruct.", "goodAt": "As SmolLM2 135M Instruct, a little more exact.", "badAt": "Facts, arithmetic, other languages.",
    },
    {
        "id": "smollm2-360m-instruct", "name": "SmolLM2 360M Instruct", "parameters": 361821120, "context": 8192, "license": "Apache-2.0",
        "file": "hf://HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/smollm2-360m-instruct-q8_0.gguf",
        "description": "A larger assistant: clearly better answers, some 390 MB.",
        "trainedOn": "Four trillion tokens of web pages, code and textbooks, then instructions.", "goodAt": "Short answers, summaries, rewriting in English.", "badAt": "Facts, arithmetic, other languages.",
    },
    {
        "id": "tinyllama-1.1b-chat", "name": "TinyLlama 1.1B Chat", "parameters": 1100048384, "context": 2048, "license": "Apache-2.0",
        "file": "hf://TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF/tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf",
        "description": "Over a billion parameters, some 670 MB: for computers with a real GPU.",
        "trainedOn": "Three trillion tokens of web pages and code (SlimPajama, StarCoder data), then conversations.", "goodAt": "Chatting, longer texts in English.", "badAt": "Facts, arithmetic, phones.",
    },
]
REMOTE += [
    {
        "id": "qwen3-0.6b", "name": "Qwen3 0.6B", "parameters": 596049920, "context": 32768, "license": "Apache-2.0",
        "file": "hf://Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf",
        "description": "An assistant that speaks over a hundred languages and writes short code. Some 640 MB: for computers with a real GPU.",
        "trainedOn": "Some 36 trillion tokens of web pages, documents, code and made-up textbooks in over a hundred languages, then instructions and worked-out answers.",
        "goodAt": "Instructions, short code, simple arithmetic, German, Spanish, Chinese and many other languages.", "badAt": "Facts, long reasoning; phones.",
        "prompts": ["What is a rainbow?", "Write a Python function that reverses a string.", "Wie macht man Pfannkuchen?"],
    },
    {
        "id": "gemma-3-270m-it", "name": "Gemma 3 270M Instruct", "parameters": 268098176, "context": 32768, "license": "Gemma Terms of Use (Google; use is restricted, no open-source licence)", "terms": "https://ai.google.dev/gemma/terms",
        "file": "hf://ggml-org/gemma-3-270m-it-GGUF/gemma-3-270m-it-Q8_0.gguf",
        "description": "A small assistant that knows 262,144 words and word pieces of many languages. Under 300 MB.",
        "trainedOn": "Six trillion tokens of web pages, code and mathematics in over 140 languages, then instructions.",
        "goodAt": "Following short instructions, rewriting, naming and sorting things.", "badAt": "Facts, arithmetic, long conversations.",
        "prompts": ["What is a rainbow?", "Write a short poem about the sea.", "Give me five names for a cat."],
    },
    {
        "id": "distilgpt2", "name": "DistilGPT2", "parameters": 81912576, "context": 1024, "license": "Apache-2.0", "chat": False,
        "file": "hf://distilbert/distilgpt2",
        "description": "The small sister of GPT-2: goes on with any English text, as language models did in 2019. Some 350 MB.",
        "trainedOn": "Pages that Reddit linked to (OpenWebText), to say what GPT-2 says.",
        "goodAt": "Going on in the tone of a beginning: news, recipes, advertisements.", "badAt": "Answering, facts, keeping to a subject; it repeats what the web says, ugly things too.",
        "prompts": [], "beginnings": ["The recipe is simple: first,", "Scientists have discovered", "Once upon a time"],
    },
]
REMOTE_PICTURES = [
    {
        "id": "sd-turbo", "kind": "image", "name": "SD-Turbo", "parameters": 1289952000, "license": "Stability AI Community License",
        "file": "hf://stabilityai/sd-turbo", "quantization": "q8_0", "width": 512, "height": 512, "steps": 2, "guidance": 1,
        "description": "Photographs and drawings of 512 by 512 in two steps. Over two gigabytes to fetch: for computers with a real GPU.",
        "trainedOn": "LAION pictures with their captions (Stable Diffusion 2.1), then distilled to few steps.",
        "goodAt": "Almost anything that can be said in a sentence, fast.", "badAt": "Words inside pictures, hands, exact numbers; small computers.",
    },
    {
        "id": "lcm-dreamshaper-v7", "kind": "image", "name": "LCM Dreamshaper v7", "parameters": 1066317227, "license": "MIT",
        "file": "hf://SimianLuo/LCM_Dreamshaper_v7", "quantization": "q8_0", "width": 512, "height": 512, "steps": 4, "guidance": 8,
        "description": "Stable Diffusion 1.5 in the manner of illustrations, distilled to four steps. Gigabytes to fetch: for computers with a real GPU.",
        "trainedOn": "LAION pictures with their captions, then illustrations, then distilled (latent consistency).",
        "goodAt": "Illustrations and portraits.", "badAt": "Words inside pictures, hands, exact numbers; small computers.",
    },
    {
        "id": "tiny-sd", "kind": "image", "name": "Tiny SD", "parameters": 530099307, "license": "CreativeML OpenRAIL-M (use is restricted)",
        "file": "hf://segmind/tiny-sd", "quantization": "q8_0", "width": 512, "height": 512, "steps": 25, "guidance": 7.5,
        "description": "Stable Diffusion 1.5 with less than half of its U-Net: twice as fast a step. One or two gigabytes to fetch: for computers with a real GPU.",
        "trainedOn": "A million LAION pictures that people rated beautiful, to paint what its teacher paints (Realistic Vision 4.0, of Stable Diffusion 1.5).",
        "goodAt": "Portraits and photographs of one subject.", "badAt": "Several subjects together, words inside pictures, hands, exact numbers; small computers.",
    },
    {
        "id": "taesd", "kind": "autoencoder", "name": "TAESD", "parameters": 2445063, "license": "MIT",
        "file": "hf://madebyollin/taesd/diffusion_pytorch_model.safetensors",
        "description": "Stable Diffusion's latents to pictures and back, in a five-hundredth of the time of its own decoder.",
        "trainedOn": "Pictures and their Stable Diffusion latents.", "goodAt": "Previews of latents.", "badAt": "Fine detail.",
    },
]
REMOTE_PROMPTS = ["What is a rainbow?", "Write a short poem about the sea.", "Explain in two sentences why the sky is blue."]


# said of the smaller file instead
IN_FOUR_BITS = {
    "id": "storyteller-q4_0", "name": "Storyteller, in four bits",
    "description": "The same storyteller in little more than half the bytes; by every measure as good.",
}


def storyteller(scheme: str, **change) -> dict:
    path = ROOT / "models" / "storyteller" / f"storyteller-{scheme}.gguf"
    data, shape = path.read_bytes(), read_shape(path)
    parameters = sum(math.prod(s) for s in shape.tensor_shapes().values())
    return {**STORYTELLER, **change, "file": f"storyteller/{path.name}", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "parameters": parameters, "context": shape.max_position_embeddings, "knows": storyteller_knows()}


def storyteller_knows() -> dict[str, list[str]]:
    """Heroes, things and places that its stories are about, in the order of the alphabet."""
    world = load()
    return {"characters": sorted(c.noun for c in world.characters), "things": sorted(t.noun for t in world.things), "places": sorted(p.phrase for p in world.places)}


def illustrator() -> dict | None:
    """Its entry, once there is a file."""
    path = ROOT / "models" / "illustrator" / "illustrator-q8_0.gguf"
    if not path.exists():
        return None
    reader = gguf.GGUFReader(path)
    config, data = json.loads(reader.get_field("vitrine.config").contents()), path.read_bytes()
    side = config["denoiser"]["latent_size"] * 2 ** (len(config["vae"]["channels"]) - 1)
    parameters = sum(int(t.n_elements) for t in reader.tensors)
    return {
        **ILLUSTRATOR, "file": "illustrator/illustrator-q8_0.gguf", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "parameters": parameters,
        "width": side, "height": side, "steps": config["sampler"]["steps"], "guidance": config["sampler"]["guidance"],
        "knows": {"characters": CHARACTER_NAMES, "things": THING_NAMES, "places": GROUND_NAMES, "times": TIME_NAMES, "weather": WEATHER_NAMES},
    }


def faces(model: dict) -> dict | None:
    """The entry of a model of faces, once there is a file."""
    name = model["id"]
    path = ROOT / "models" / name / f"{name}.safetensors"
    if not path.exists():
        return None
    data, tensors = path.read_bytes(), load_file(path)
    parameters = sum(t.numel() for tensor, t in tensors.items() if "running_" not in tensor)
    return {**model, "file": f"{name}/{name}.safetensors", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "parameters": parameters, "width": 64, "height": 64, "latent": 8}


def entry(model: dict) -> dict:
    known = {k: model[k] for k in ("bytes", "sha256") if k in model}
    where = {"url" if "://" in model["file"] else "path": model["file"]}
    return {"id": model["id"], "kind": "text", "name": model["name"], **model, "licence": model["license"], "files": [{**where, **known}]}


def main() -> None:
    models = [m for m in (storyteller("q8_0"), illustrator(), faces(FACES_VAE), faces(FACES_GAN), storyteller("q4_0", **IN_FOUR_BITS)) if m] + [{**m, "chat": m.get("chat", True), "prompts": m.get("prompts", REMOTE_PROMPTS)} for m in REMOTE] + REMOTE_PICTURES
    path = ROOT / "models" / "catalog.json"
    path.write_text(json.dumps({"version": 1, "models": [entry(m) for m in models]}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
