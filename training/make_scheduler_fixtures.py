"""Writes tests/fixtures/schedulers.json: whole runs of diffusers' schedulers, which src/image/schedulers must repeat.

No network is needed: the "model" is a formula of what it is given, and so are the noises (tests/schedulers.rs has the same formulas). A case
holds the scheduler's configuration, the timesteps, and the latent after every step.
"""

import json
import math
from pathlib import Path

import diffusers.schedulers as schedulers
import numpy as np
import torch

STEPS = 10
SIZE = 6


def noise(draw):
    i = np.arange(1, SIZE + 1, dtype=np.float64)
    return torch.tensor(math.sqrt(2) * np.sin(12.9898 * i + 78.233 * (draw + 1)), dtype=torch.float32).reshape(1, 1, 1, SIZE)


def model(x, t):
    i = torch.arange(SIZE, dtype=torch.float64).reshape(x.shape)
    return (0.6 * x.double() + 0.3 * math.sin(t / 100) + 0.2 * torch.cos(3 * i)).float()


draws = 0


def drawn(*_, **__):
    global draws
    draws += 1
    return noise(draws)


def run(name, kind, settings, steps=STEPS):
    global draws
    draws = 0
    scheduler = kind(**settings)
    scheduler.set_timesteps(steps)
    flow = kind is schedulers.FlowMatchEulerDiscreteScheduler
    x = noise(0) if flow else noise(0) * scheduler.init_noise_sigma
    latents = []
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # as pipelines do: rounded timesteps may be there twice
    for t in scheduler.timesteps:
        given = x if flow else scheduler.scale_model_input(x, t)
        x = scheduler.step(model(given, float(t)), t, x).prev_sample
        latents.append([float(f"{v:.8g}") for v in x.flatten().tolist()])
    config = {k: v for k, v in settings.items()} | {"_class_name": kind.__name__}
    timesteps = [float(f"{t:.7g}") for t in scheduler.timesteps.tolist()]
    return {"scheduler": name, "config": config, "steps": steps, "timesteps": timesteps, "latents": latents}


def main():
    for module in ("ddpm", "ddim", "lcm", "euler_ancestral_discrete"):
        getattr(schedulers, f"scheduling_{module}").randn_tensor = drawn
    kinds = {
        "ddpm": schedulers.DDPMScheduler,
        "ddim": schedulers.DDIMScheduler,
        "euler": schedulers.EulerDiscreteScheduler,
        "euler-ancestral": schedulers.EulerAncestralDiscreteScheduler,
        "dpm++-2m": schedulers.DPMSolverMultistepScheduler,
        "dpm++-2m-karras": schedulers.DPMSolverMultistepScheduler,
        "unipc": schedulers.UniPCMultistepScheduler,
        "lcm": schedulers.LCMScheduler,
    }
    sd = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "timestep_spacing": "leading"}
    cases = []
    for name, kind in kinds.items():
        more = {"use_karras_sigmas": True} if "karras" in name else {}
        if name in ("ddpm", "ddim"):
            more["clip_sample"] = False
        for prediction in ("epsilon", "v_prediction", "sample"):
            if (name, prediction) == ("euler-ancestral", "sample"):
                continue
            cases.append(run(name, kind, sd | more | {"prediction_type": prediction}))
        # Each one's own defaults; the cosine schedule; zero terminal SNR.
        karras = {"use_karras_sigmas": True} if "karras" in name else {}
        cases.append(run(name, kind, karras))
        # diffusers cuts DPM-Solver's Karras timesteps down to whole numbers there, by luck of the last bit; ours are rounded.
        if not karras:
            cases.append(run(name, kind, {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"}))
        zero = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
        cases.append(run(name, kind, sd | more | zero, 7))
        if name != "lcm":
            cases.append(run(name, kind, sd | more | {"timestep_spacing": "linspace"}, 20))
    cases.append(run("ddim", schedulers.DDIMScheduler, sd | {"clip_sample": True, "set_alpha_to_one": False, "steps_offset": 0}))
    cases.append(run("ddpm", schedulers.DDPMScheduler, {"variance_type": "fixed_large"}))
    cases.append(run("euler", schedulers.EulerDiscreteScheduler, sd | {"use_karras_sigmas": True}))
    cases.append(run("euler", schedulers.EulerDiscreteScheduler, sd | {"final_sigmas_type": "sigma_min"}))
    cases.append(run("unipc", schedulers.UniPCMultistepScheduler, sd | {"use_karras_sigmas": True}))
    cases.append(run("unipc", schedulers.UniPCMultistepScheduler, sd | {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}))
    cases.append(run("dpm++-2m", schedulers.DPMSolverMultistepScheduler, sd | {"final_sigmas_type": "sigma_min", "lambda_min_clipped": -5.1}))
    cases.append(run("lcm", schedulers.LCMScheduler, {"clip_sample": True, "original_inference_steps": 40}, 4))
    for shift in (1.0, 3.0):
        cases.append(run("flow-euler", schedulers.FlowMatchEulerDiscreteScheduler, {"shift": shift}))
    path = Path(__file__).parent.parent / "tests/fixtures/schedulers.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(len(cases), "cases,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
