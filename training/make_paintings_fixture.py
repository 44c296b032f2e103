"""Writes tests/fixtures/paintings.json: what diffusers' pipelines paint with tests/fixtures/tiny_sd, by every scheduler, from pictures, and with
weighted prompts.

    python make_paintings_fixture.py

All noise is Vitrine's own (house_noise.py), in the order in which it draws. Pictures are 16 pixels square, in eight bits; those that runs begin
from are a formula that tests/models/diffusion/paintings.rs has too.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as from_picture
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_inpaint as in_part
from house_noise import noise
from make_pipeline_fixture import OUT as PIPELINE
from make_scheduler_fixtures import KINDS, NAMED, SD, Noises, sde

FOLDER = PIPELINE.parent / "tiny_sd"
PROMPT, NEGATIVE, GUIDANCE, SEED, SIDE = "the fox in a night", "snow", 5.0, 3, 16
LATENT = SIDE // 2
SIZE = 4 * LATENT * LATENT

drawn = 0


def draw(*_, **__):
    """The next latent of the seed's noise, [1, 4, side, side]."""
    global drawn
    drawn += 1
    rows = noise(SEED, drawn * SIZE)[-SIZE:]
    return torch.from_numpy(rows).reshape(1, LATENT, LATENT, 4).permute(0, 3, 1, 2)


def picture() -> torch.Tensor:
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    bytes_ = np.stack([x * 15, y * 15, 255 - 8 * x - 7 * y], axis=0).astype(np.uint8)
    return torch.from_numpy(bytes_.astype(np.float32) / 255)[None]


def as_text(images: torch.Tensor) -> str:
    return (images[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8).tobytes().hex()


def weighted(pipe, parts: list[tuple[str, float]]) -> torch.Tensor:
    """As AUTOMATIC1111's web UI weighs: each row of the encoder's times its token's weight."""
    ids, weights = [pipe.tokenizer.bos_token_id], [1.0]
    for text, weight in parts:
        own = pipe.tokenizer(text, add_special_tokens=False).input_ids
        ids, weights = ids + own, weights + [weight] * len(own)
    length = pipe.tokenizer.model_max_length
    ids += [pipe.tokenizer.eos_token_id] * (length - len(ids))
    rows = pipe.text_encoder(torch.tensor([ids]))[0]
    # There the mean is given back too; it is nothing here, since the last norm of this model has no bias (src/image/caption.rs tests that).
    assert rows.mean().abs() < 1e-3 * rows.abs().mean()
    return rows * torch.tensor(weights + [1.0] * (length - len(weights)))[None, :, None]


@torch.no_grad()
def main() -> None:
    global drawn
    torch.set_num_threads(1)
    pipe = StableDiffusionPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32, use_safetensors=False, safety_checker=None)
    parts = {k: v for k, v in pipe.components.items() if k not in ("feature_extractor", "image_encoder", "safety_checker", "scheduler")}
    sde.BrownianTreeNoiseSampler = lambda *_: Noises(draw)
    from_picture.randn_tensor = in_part.randn_tensor = draw
    # The latent of a picture is the likeliest, not drawn.
    from_picture.retrieve_latents = in_part.retrieve_latents = lambda encoded, **_: encoded.latent_dist.mode()
    paintings = []

    def paint(name: str, more: dict, steps: int, strength: float | None = None, prompt=None, masked: bool = False) -> None:
        global drawn
        drawn = 0
        kind = KINDS[name]
        config = {"_class_name": kind.__name__} | SD | NAMED.get(name, {}) | more
        module = __import__(kind.__module__, fromlist=["_"])
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = draw
        kinds = {"scheduler": kind.from_config(config), "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        asked = {"num_inference_steps": steps, "guidance_scale": GUIDANCE, "output_type": "pt"}
        if name == "tcd":
            asked["eta"] = 0.3
        asked |= {"prompt": PROMPT, "negative_prompt": NEGATIVE} if prompt is None else {"prompt_embeds": weighted(pipe, prompt), "negative_prompt_embeds": weighted(pipe, [(NEGATIVE, 1.3)])}
        if strength is None:
            made = StableDiffusionPipeline(**parts, **kinds)
            asked |= {"width": SIDE, "height": SIDE, "latents": draw()}
        else:
            made = (StableDiffusionInpaintPipeline if masked else StableDiffusionImg2ImgPipeline)(**parts, **kinds)
            asked |= {"image": picture(), "strength": strength}
        if masked:
            mask = torch.zeros(1, 1, SIDE, SIDE)
            mask[..., SIDE // 2 :] = 1
            asked |= {"mask_image": mask, "width": SIDE, "height": SIDE}
        made.set_progress_bar_config(disable=True)
        images = made(**asked).images
        text = {"prompt": "".join(text if weight == 1 else f"({text}:{weight})" for text, weight in prompt), "negative": f"({NEGATIVE}:1.3)"} if prompt else {"prompt": PROMPT, "negative": NEGATIVE}
        told = {"scheduler": name, "config": config, "steps": steps, **text} | ({} if strength is None else {"strength": strength, "masked": masked})
        paintings.append(told | {"picture": as_text(images)})
        print(name, more, steps, strength, f"{images.std():.3f}")

    for name in KINDS:
        if name == "flow-euler" or name.startswith("edm"):
            continue
        more = {"skip_prk_steps": True} if name == "pndm" else {"clip_sample": False} if name in ("ddim", "ddpm") else {}
        paint(name, more, 5)
    paint("pndm", {}, 6)
    paint("dpm++-2m", {"solver_order": 3, "use_lu_lambdas": True}, 6)
    paint("unipc", {"solver_order": 3, "predict_x0": False, "final_sigmas_type": "sigma_min"}, 6)
    plms = {"skip_prk_steps": True}
    for name, more in (("pndm", plms), ("heun", {}), ("kdpm2", {}), ("ddim", {"clip_sample": False}), ("euler", {}), ("dpm++-2m", {})):
        for steps, strength in ((5, 0.5), (4, 1.0)):
            paint(name, more, steps, strength)
    paint("dpm++-sde", {}, 5, 0.65)
    paint("lcm", {}, 4, 0.5)
    for name, more in (("pndm", plms), ("heun", {}), ("euler", {})):
        for strength in (0.6, 1.0):
            paint(name, more, 5, strength, masked=True)
    paint("ddim", {"clip_sample": False}, 4, prompt=[("a ", 1), ("fox", 1.4), (" in the snow", 1)])
    paint("pndm", plms, 4, prompt=[("the fox ", 0.5), ("in", 1), (" a night", 1.21)])
    (PIPELINE.parent / "paintings.json").write_text("[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in paintings) + "\n]\n")


if __name__ == "__main__":
    main()
