"""Writes tests/fixtures/schedulers.json: whole runs of diffusers' schedulers, which src/image/schedulers must repeat.

No network is needed: the "model" is a formula of what it is given, and so are the noises (tests/models/diffusion/schedulers.rs has the same formulas). A case
holds the scheduler's configuration as a file has it, the timesteps from where the run begins, and the latent at its end.
"""

import itertools
import json
import math
import sys
import types
from pathlib import Path

import numpy as np
import torch
import diffusers.schedulers as schedulers

# Only the noise of DPM++ SDE needs it, and that is handed in.
sys.modules.setdefault("torchsde", types.ModuleType("torchsde"))

from diffusers.schedulers import scheduling_dpmsolver_sde as sde  # noqa: E402

SIZE = 6
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "timestep_spacing": "leading"}
SPREADS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
MULTISTEP = schedulers.DPMSolverMultistepScheduler
SINGLESTEP = schedulers.DPMSolverSinglestepScheduler
KINDS = {
    "ddpm": schedulers.DDPMScheduler,
    "ddim": schedulers.DDIMScheduler,
    "pndm": schedulers.PNDMScheduler,
    "euler": schedulers.EulerDiscreteScheduler,
    "euler-ancestral": schedulers.EulerAncestralDiscreteScheduler,
    "heun": schedulers.HeunDiscreteScheduler,
    "lms": schedulers.LMSDiscreteScheduler,
    "kdpm2": schedulers.KDPM2DiscreteScheduler,
    "kdpm2-ancestral": schedulers.KDPM2AncestralDiscreteScheduler,
    "deis": schedulers.DEISMultistepScheduler,
    "dpm++-2m": MULTISTEP,
    "dpm++-2m-karras": MULTISTEP,
    "dpm++-2m-sde": MULTISTEP,
    "dpm++-2s": SINGLESTEP,
    "dpm++-sde": sde.DPMSolverSDEScheduler,
    "unipc": schedulers.UniPCMultistepScheduler,
    "lcm": schedulers.LCMScheduler,
    "tcd": schedulers.TCDScheduler,
    "edm-euler": schedulers.EDMEulerScheduler,
    "edm-dpm++-2m": schedulers.EDMDPMSolverMultistepScheduler,
    "flow-euler": schedulers.FlowMatchEulerDiscreteScheduler,
}
#: What a name says beside its class.
NAMED = {"dpm++-2m-karras": {"use_karras_sigmas": True}, "dpm++-2m-sde": {"algorithm_type": "sde-dpmsolver++"}}
#: Those without a picture as prediction.
NO_SAMPLE = ("pndm", "euler-ancestral", "kdpm2", "kdpm2-ancestral", "dpm++-sde")
SPREAD = ("euler", "heun", "lms", "kdpm2", "kdpm2-ancestral", "deis", "dpm++-2m", "dpm++-2s", "dpm++-sde", "unipc")
RESCALE = ("ddpm", "ddim", "euler", "euler-ancestral", "dpm++-2m", "dpm++-2m-karras", "unipc", "lcm", "tcd")

draws = 0


def noise(draw):
    i = np.arange(1, SIZE + 1, dtype=np.float64)
    return torch.tensor(math.sqrt(2) * np.sin(12.9898 * i + 78.233 * (draw + 1)), dtype=torch.float32).reshape(1, 1, 1, SIZE)


def drawn(*_, **__):
    global draws
    draws += 1
    return noise(draws)


class Noises:
    """A path of noise over sigmas: what is drawn for half of a step is part of what the whole step sees."""

    def __init__(self, drawn):
        self.half, self.drawn = None, drawn

    def __call__(self, start, end):
        start, end = float(start), float(end)
        if self.half is None or self.half[0] != start:
            self.half = (start, end, self.drawn())
            return self.half[2]
        _, middle, first = self.half
        self.half = None
        share = (start - middle) / (start - end)
        return math.sqrt(share) * first + math.sqrt(1 - share) * self.drawn()


def model(x, t):
    i = torch.arange(SIZE, dtype=torch.float64).reshape(x.shape)
    return (0.6 * x.double() + 0.3 * math.sin(t / 100) + 0.2 * torch.cos(3 * i)).float()


def clean():
    return (0.4 * torch.cos(torch.arange(SIZE, dtype=torch.float64))).float().reshape(1, 1, 1, SIZE)


def run(name, settings, steps=10, strength=None):
    """With `strength`, as image-to-image pipelines do it."""
    global draws
    draws = 0
    kind = KINDS[name]
    config = {"_class_name": kind.__name__} | settings | NAMED.get(name, {})
    scheduler = kind.from_config(config)
    scheduler.set_timesteps(steps)
    begin = 0 if strength is None else (steps - min(int(steps * strength), steps)) * scheduler.order
    timesteps = scheduler.timesteps[begin:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)  # as pipelines do: rounded timesteps may be there twice
    if strength is not None:
        add = getattr(scheduler, "add_noise", None)
        x = add(clean(), noise(0), timesteps[:1]) if add else scheduler.scale_noise(clean(), timesteps[:1], noise(0))
    else:
        x = noise(0) * getattr(scheduler, "init_noise_sigma", 1.0)
    for t in timesteps:
        given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        x = scheduler.step(model(given, float(t)), t, x).prev_sample
    assert x.isfinite().all(), (name, config, steps)
    # What is as Stable Diffusion has it is said once.
    usual = all(config.get(key) == value for key, value in SD.items() if key not in ("beta_schedule", "timestep_spacing"))
    own = {key: value for key, value in config.items() if not usual or SD.get(key) != value}
    case = {"scheduler": name, "sd": usual, "config": own, "steps": steps}
    if strength is not None:
        case["strength"] = strength
    case["timesteps"] = [short(t) for t in timesteps.tolist()]
    case["latent"] = [short(v) for v in x.flatten().tolist()]
    return case


def short(number):
    return int(number) if float(number).is_integer() else float(f"{number:.6g}")


def cases():
    for name in KINDS:
        if name in ("edm-euler", "edm-dpm++-2m", "flow-euler"):
            continue
        more = {"clip_sample": False} if name in ("ddpm", "ddim") else {}
        more |= {"skip_prk_steps": True} if name == "pndm" else {}
        for prediction in ("epsilon", "v_prediction", "sample"):
            if prediction != "sample" or name not in NO_SAMPLE:
                yield run(name, SD | more | {"prediction_type": prediction})
        # Each one's own defaults, both other spacings, other schedules, few steps, and a run that begins on the way.
        karras = NAMED.get(name, {})
        yield run(name, karras)
        # Where a step takes nearly all the noise away, what is left of it drowns in diffusers' 32 bits: that scheduler begins a little later.
        yield run(name, {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "leading" if name == "kdpm2-ancestral" else "trailing"})
        yield run(name, SD | more | {"num_train_timesteps": 20, "trained_betas": [0.01 * (i + 1) for i in range(20)], "original_inference_steps": 10}, 5)
        for spacing, steps in (("linspace", 20), ("trailing", 7)):
            if name not in ("lcm", "tcd"):
                yield run(name, SD | more | {"timestep_spacing": spacing}, steps)
        for steps in (1, 2, 3, 4, 16):
            yield run(name, SD | more, steps)
        for steps, strength in ((10, 0.55), (20, 0.3), (4, 1.0)):
            yield run(name, SD | more, steps, strength)
        if name in RESCALE:
            yield run(name, SD | more | {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"}, 7)
        if name in SPREAD:
            for spread in SPREADS:
                own = "dpm++-2m-karras" if (name, spread) == ("dpm++-2m", "use_karras_sigmas") else name
                yield run(own, SD | {spread: True})
                yield run(own, SD | {spread: True, "sigma_min": 0.1, "sigma_max": 5.0}, 7)
                yield run(own, SD | {spread: True}, 12, 0.5)

    yield run("ddim", SD | {"clip_sample": True, "clip_sample_range": 0.7, "set_alpha_to_one": False, "steps_offset": 0})
    yield run("ddpm", {"variance_type": "fixed_large"})
    yield run("ddpm", {"variance_type": "fixed_small_log"})
    for schedule in ("sigmoid", "laplace"):
        yield run("ddpm", SD | {"beta_schedule": schedule}, 6)
    for spacing, steps in (("leading", 4), ("leading", 10), ("trailing", 20), ("linspace", 9)):
        yield run("pndm", SD | {"timestep_spacing": spacing}, steps)
    yield run("pndm", SD | {"set_alpha_to_one": True, "prediction_type": "v_prediction"}, 8)
    yield run("pndm", SD, 20, 0.6)
    yield run("pndm", SD, 10, 0.2)
    yield run("euler", SD | {"final_sigmas_type": "sigma_min"})
    yield run("euler", SD | {"interpolation_type": "log_linear"})
    yield run("euler", SD | {"interpolation_type": "log_linear", "use_karras_sigmas": True})
    yield run("euler", SD | {"timestep_type": "continuous", "prediction_type": "v_prediction", "sigma_min": 0.002, "sigma_max": 700.0, "use_karras_sigmas": True})
    yield run("euler", SD | {"rescale_betas_zero_snr": True, "timestep_spacing": "linspace"})
    yield run("heun", SD | {"beta_schedule": "exp"})
    yield run("heun", SD | {"clip_sample": True, "clip_sample_range": 0.8})
    for order, solver, steps in itertools.product((1, 2, 3), ("midpoint", "heun"), (6, 16)):
        for algorithm in ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"):
            least = {"final_sigmas_type": "sigma_min"} if algorithm in ("dpmsolver", "sde-dpmsolver") else {}
            more = SD | least | {"algorithm_type": algorithm, "solver_type": solver, "solver_order": order}
            if (algorithm, order) != ("sde-dpmsolver", 3):
                yield run("dpm++-2m-sde" if algorithm == "sde-dpmsolver++" else "dpm++-2m", more, steps) | ({"scheduler": "dpm++-2m-sde"} if "sde" in algorithm else {})
            if algorithm != "sde-dpmsolver":
                yield run("dpm++-2s", more, steps)
    for more in ({"use_lu_lambdas": True}, {"euler_at_final": True, "final_sigmas_type": "sigma_min"}, {"lower_order_final": False}, {"final_sigmas_type": "sigma_min", "lambda_min_clipped": -5.1}, {"solver_order": 3, "final_sigmas_type": "sigma_min", "lower_order_final": False}, {"use_lu_lambdas": True, "sigma_max": 3.0}, {"lambda_min_clipped": -2.0, "timestep_spacing": "trailing"}):
        yield run("dpm++-2m", SD | more)
    for more in ({"lower_order_final": True}, {"lower_order_final": True, "solver_order": 3}, {"final_sigmas_type": "sigma_min", "lower_order_final": False}, {"lambda_min_clipped": -5.1}):
        for steps in (9, 10, 11, 12):
            yield run("dpm++-2s", SD | more, steps)
    yield run("dpm++-2s", SD | {"solver_order": 3}, 12, 0.75)
    yield run("dpm++-2m", SD | {"solver_order": 3}, 20, 0.75)
    for order, steps in itertools.product((1, 2, 3), (6, 16)):
        yield run("deis", SD | {"solver_order": order, "lower_order_final": steps < 10}, steps)
    yield run("deis", SD | {"algorithm_type": "dpmsolver++", "solver_type": "midpoint", "use_karras_sigmas": True}, 16)
    for order, solver, picture in itertools.product((1, 2, 3, 4, 5), ("bh1", "bh2"), (True, False)):
        least = {} if picture and solver == "bh2" else {"final_sigmas_type": "sigma_min"}
        yield run("unipc", SD | least | {"solver_order": order, "solver_type": solver, "predict_x0": picture}, 6 + order)
    yield run("unipc", SD | {"disable_corrector": [0, 1, 2]}, 6)
    yield run("unipc", SD | {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"})
    yield run("unipc", SD | {"solver_order": 3, "solver_type": "midpoint"}, 20, 0.5)
    yield run("lcm", {"clip_sample": True, "original_inference_steps": 40}, 4)
    yield run("tcd", {"original_inference_steps": 40, "prediction_type": "v_prediction"}, 8)
    for name in ("edm-euler", "edm-dpm++-2m"):
        for more in ({}, {"sigma_schedule": "exponential", "prediction_type": "v_prediction"}, {"sigma_min": 0.01, "sigma_max": 20.0, "sigma_data": 1.0, "rho": 5.0}, {"final_sigmas_type": "sigma_min"}):
            yield run(name, more, 6)
        yield run(name, {}, 10, 0.5)
    for more, steps in (({"algorithm_type": "sde-dpmsolver++"}, 6), ({"solver_order": 3, "solver_type": "heun"}, 16), ({"solver_order": 1}, 5)):
        yield run("edm-dpm++-2m", more, steps)
    for shift in (1.0, 3.0):
        yield run("flow-euler", {"shift": shift})
        yield run("flow-euler", {"shift": shift}, 10, 0.55)


def main():
    for kind in KINDS.values():
        module = sys.modules[kind.__module__]
        if hasattr(module, "randn_tensor"):
            module.randn_tensor = drawn
    sde.BrownianTreeNoiseSampler = lambda *_: Noises(drawn)
    path = Path(__file__).parent.parent / "tests/fixtures/schedulers.json"
    written = [json.dumps(case, separators=(",", ":")) for case in cases()]
    path.write_text(f'{{"sd":{json.dumps(SD)},"cases":[\n' + ",\n".join(written) + "\n]}\n")
    print(len(written), "cases,", path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
