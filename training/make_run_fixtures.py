"""Whole runs of diffusers: every scheduler, ten steps of a small U-Net with weights that follow from their names, guided.

    python make_run_fixtures.py      # writes ../tests/fixtures/diffusion/runs.json

Weights, context and noise are made by name on both sides (hashed_weights.py, tests/models/diffusion/runs.rs); the file holds the latents at the end.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from make_scheduler_fixtures import Noises, schedulers, sde
from hashed_weights import fill, rows
from make_diffusion_fixtures import UNETS, channels_first

OUT = Path(__file__).parent.parent / "tests/fixtures/diffusion/runs.json"
STEPS, GUIDANCE, HEIGHT, WIDTH, TOKENS = 10, 3.0, 8, 4, 5
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "timestep_spacing": "leading"}
V = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
RUNS = {
    "ddpm": (schedulers.DDPMScheduler, {"clip_sample": False}),
    "ddim": (schedulers.DDIMScheduler, {"clip_sample": False, "set_alpha_to_one": False}),
    "euler": (schedulers.EulerDiscreteScheduler, V),
    "euler-ancestral": (schedulers.EulerAncestralDiscreteScheduler, {}),
    "dpm++-2m": (schedulers.DPMSolverMultistepScheduler, {}),
    "dpm++-2m-karras": (schedulers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
    "unipc": (schedulers.UniPCMultistepScheduler, {}),
    "lcm": (schedulers.LCMScheduler, {}),
    "pndm": (schedulers.PNDMScheduler, {"skip_prk_steps": True}),
    "heun": (schedulers.HeunDiscreteScheduler, {}),
    "lms": (schedulers.LMSDiscreteScheduler, {}),
    "kdpm2": (schedulers.KDPM2DiscreteScheduler, {}),
    "kdpm2-ancestral": (schedulers.KDPM2AncestralDiscreteScheduler, {}),
    "deis": (schedulers.DEISMultistepScheduler, {}),
    "dpm++-2m-sde": (schedulers.DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
    "dpm++-2s": (schedulers.DPMSolverSinglestepScheduler, {"lower_order_final": True}),
    "dpm++-sde": (sde.DPMSolverSDEScheduler, {}),
    "tcd": (schedulers.TCDScheduler, {}),
    "edm-euler": (schedulers.EDMEulerScheduler, {}),
    "edm-dpm++-2m": (schedulers.EDMDPMSolverMultistepScheduler, {}),
    "flow-euler": (schedulers.FlowMatchEulerDiscreteScheduler, None),
}


def noise(name: str) -> torch.Tensor:
    return channels_first(rows(name, (HEIGHT * WIDTH, 4)), 1, HEIGHT, WIDTH)


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    config = UNETS["unet_tiny"][0]
    model = fill(UNet2DConditionModel(sample_size=HEIGHT, **config))
    context = rows("run.context", (2, TOKENS, config["cross_attention_dim"]))
    runs = []
    for name, (kind, more) in RUNS.items():
        settings = {"shift": 3.0} if more is None else SD | more
        scheduler = kind.from_config(settings | {"_class_name": kind.__name__})
        scheduler.set_timesteps(STEPS)
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(0)
        draws = 0

        def drawn(*_, **__):
            nonlocal draws
            draws += 1
            return noise(f"run.draw{draws}")

        module = __import__(kind.__module__, fromlist=["_"])
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = drawn
        sde.BrownianTreeNoiseSampler = lambda *_: Noises(drawn)
        x = noise("run.noise") * getattr(scheduler, "init_noise_sigma", 1.0)
        for t in scheduler.timesteps:
            given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
            wanted, unwanted = model(torch.cat((given, given)), t, context).sample.chunk(2)
            x = scheduler.step(unwanted + GUIDANCE * (wanted - unwanted), t, x).prev_sample
        latent = [float(f"{v:.7g}") for v in x.permute(0, 2, 3, 1).flatten().tolist()]
        runs.append({"scheduler": name, "config": settings | {"_class_name": kind.__name__}, "latent": latent})
        print(name, f"rms {x.square().mean().sqrt():.3f}")
    sizes = {"steps": STEPS, "guidance": GUIDANCE, "height": HEIGHT, "width": WIDTH, "tokens": TOKENS}
    OUT.write_text(json.dumps({**sizes, "unet": config, "runs": runs}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
