"""Small generators and autoencoders with random weights, built and named as published ones are, and what PyTorch makes with them.

    python make_generator_fixtures.py [DIGIT_DCGAN]

Writes `../tests/fixtures/generators/NAME/`: the weights as people save them (safetensors, `torch.save`, and its format from before 1.6), a `config.json` where they need one,
and `expected.safetensors` with inputs and outputs (pictures `[batch, channels, height, width]`, computed in F32). Given the folder of a published generator of
digits (tests read it from the reference data), its answers go to `digit_dcgan/expected.safetensors`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

OUT = Path(__file__).resolve().parent.parent / "tests/fixtures/generators"


def settled(module: nn.Module, seed: int) -> nn.Module:
    """Statistics and scales that do something, all numbers such as F16 holds."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, (nn.modules.batchnorm._BatchNorm, nn.InstanceNorm2d)):
            part.weight.data.normal_(1, 0.2)
            part.bias.data.normal_(0, 0.2)
        elif isinstance(part, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            # Loud enough for the functions behind to matter.
            part.weight.data.mul_(2.5)
    for value in module.state_dict().values():
        if value.is_floating_point():
            value.copy_(value.half().float())
    return module.eval()


def write(name: str, weights, expected: dict, file: str, config: dict | None = None, legacy: bool = False) -> None:
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    if file.endswith(".safetensors"):
        save_file({k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in weights.items()}, folder / file)
    else:
        torch.save(weights, folder / file, _use_new_zipfile_serialization=not legacy)
    save_file({k: v.contiguous() for k, v in expected.items()}, folder / "expected.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config) + "\n")


def half(weights: dict) -> dict:
    return {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}


class Named(nn.Module):
    """A network as an attribute of that name."""

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        setattr(self, name, network)


def ask(network: nn.Module, shape: tuple[int, ...]) -> dict:
    latent = torch.randn(2, shape[0])
    return {"latent": latent, "picture": network(latent.view(2, *shape))}


def unpadded() -> None:
    """The layout of the digit generator, narrow: blocks of convolution, norm and ReLU, no paddings, a bias everywhere."""
    def block(i: int, o: int, k: int, s: int, last: bool = False) -> nn.Module:
        conv = nn.ConvTranspose2d(i, o, k, s)
        return nn.Sequential(conv, nn.Tanh()) if last else nn.Sequential(conv, nn.BatchNorm2d(o), nn.ReLU())

    network = settled(nn.Sequential(block(10, 24, 3, 2), block(24, 16, 4, 1), block(16, 8, 3, 2), block(8, 1, 4, 2, last=True)), 1)
    weights = Named("gen", network).state_dict()
    write("unpadded", weights, ask(network, (10, 1, 1)), "generator.pth")
    # The same from before 1.6, in F16, within a checkpoint.
    checkpoint = {"epoch": 3, "generator_state_dict": half(weights), "optimizer": {"state": {}, "param_groups": [{"lr": 2e-4}]}}
    write("unpadded_legacy", checkpoint, ask(network, (10, 1, 1)), "generator.pt", legacy=True)


def named_blocks() -> None:
    """`layers.N.conv` and `layers.N.norm`, whose norms are each picture's own, beside a discriminator."""
    class Block(nn.Module):
        def __init__(self, i: int, o: int, k: int, s: int, p: int, last: bool = False) -> None:
            super().__init__()
            self.conv = nn.ConvTranspose2d(i, o, k, s, p, bias=last)
            self.norm = nn.Identity() if last or s == 1 else nn.InstanceNorm2d(o, affine=True)
            self.act = nn.Tanh() if last else nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.norm(self.conv(x)))

    network = settled(nn.Sequential(Block(6, 16, 4, 1, 0), Block(16, 12, 3, 2, 1), Block(12, 8, 4, 2, 1), Block(8, 1, 4, 2, 1, last=True)), 2)
    weights = {"generator": half(Named("layers", network).state_dict()), "discriminator": {"conv.weight": torch.ones(4, 1, 4, 4)}, "step": 7}
    write("named_blocks", weights, ask(network, (6, 1, 1)), "ckpt.pth")


def behind_linear() -> None:
    """One `Sequential` from a linear layer with a norm of its features to 28 pixels, by 5x5 windows with output padding."""
    network = nn.Sequential(
        nn.Linear(9, 7 * 7 * 6), nn.BatchNorm1d(7 * 7 * 6), nn.ReLU(), nn.Unflatten(1, (6, 7, 7)),
        nn.ConvTranspose2d(6, 5, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(),
        nn.ConvTranspose2d(5, 3, 5, 2, 2, 1), nn.Tanh(),
    )  # fmt: skip
    settled(network, 3)
    write("behind_linear", Named("net", network).state_dict(), ask(network, (9,)), "model.safetensors")


def configured() -> None:
    """What no rule could tell: strides of 3, no usual side, a sigmoid at the end; below a data-parallel wrapper."""
    network = nn.Sequential(
        nn.ConvTranspose2d(5, 8, 5, 1, 0), nn.BatchNorm2d(8), nn.LeakyReLU(0.3), nn.ConvTranspose2d(8, 3, 5, 3, 1, 1), nn.Sigmoid()
    )
    settled(network, 4)
    weights = {f"netG.module.{k}": v for k, v in Named("main", network).state_dict().items()}
    weights["netD.module.main.0.weight"] = torch.ones(2, 3, 4, 4)
    config = {"stride": [1, 3], "padding": [0, 1], "output_padding": [0, 1], "activation": "leaky_relu", "negative_slope": 0.3, "output_activation": "sigmoid"}
    write("configured", weights, ask(network, (5, 1, 1)), "model.safetensors", config)


def upsampled() -> None:
    """PyTorch-GAN's ACGAN: labels multiplied with the latent, enlargements before plain convolutions, norms with an epsilon of 0.8."""
    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.label_emb = nn.Embedding(5, 12)
            self.l1 = nn.Sequential(nn.Linear(12, 8 * 8 * 8))
            self.conv_blocks = nn.Sequential(
                nn.BatchNorm2d(8), nn.Upsample(scale_factor=2),
                nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8, 0.8), nn.LeakyReLU(0.2), nn.Upsample(scale_factor=2),
                nn.Conv2d(8, 6, 3, 1, 1), nn.BatchNorm2d(6, 0.8), nn.LeakyReLU(0.2), nn.Conv2d(6, 3, 3, 1, 1), nn.Tanh(),
            )  # fmt: skip

        def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.conv_blocks(self.l1(self.label_emb(y) * z).view(-1, 8, 8, 8))

    network = settled(Generator(), 5)
    latent, label = torch.randn(2, 12), torch.tensor([3, 1])
    write("upsampled", network.state_dict(), {"latent": latent, "label": label.float(), "picture": network(latent, label)}, "generator.safetensors")


def smooth() -> None:
    """Bilinear enlargements, as a `config.json` says, between convolutions whose names have no numbers to tell by."""
    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(7, 6 * 4 * 4)
            self.conv_a, self.bn_a = nn.Conv2d(6, 5, 3, 1, 1), nn.BatchNorm2d(5)
            self.conv_b = nn.Conv2d(5, 1, 5, 1, 2)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            up = lambda x: nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
            x = self.fc(z).relu().view(-1, 6, 4, 4)
            return self.conv_b(up(self.bn_a(self.conv_a(up(x))).relu())).tanh()

    network = settled(Generator(), 6)
    write("smooth", network.state_dict(), ask(network, (7,)), "model.safetensors", {"upsample": [2, 2], "upsample_mode": "bilinear"})


def conditional() -> None:
    """PyTorch-GAN's CGAN, fully connected: the label's row before the latent."""
    def block(i: int, o: int, norm: bool = True) -> list[nn.Module]:
        return [nn.Linear(i, o), *([nn.BatchNorm1d(o, 0.8)] if norm else []), nn.LeakyReLU(0.2)]

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.label_emb = nn.Embedding(10, 10)
            self.model = nn.Sequential(*block(16, 12, norm=False), *block(12, 20), *block(20, 14), nn.Linear(14, 784), nn.Tanh())

        def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.model(torch.cat((self.label_emb(y), z), -1)).view(-1, 1, 28, 28)

    network = settled(Generator(), 7)
    latent, label = torch.randn(2, 6), torch.tensor([9, 0])
    write("conditional", half(network.state_dict()), {"latent": latent, "label": label.float(), "picture": network(latent, label)}, "generator.pth", legacy=True)


def vae() -> None:
    """PyTorch's example of a VAE, narrow."""
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21, self.fc22 = nn.Linear(784, 14), nn.Linear(14, 4), nn.Linear(14, 4)
            self.fc3, self.fc4 = nn.Linear(4, 14), nn.Linear(14, 784)

    network = settled(Vae(), 8)
    latent, picture = torch.randn(2, 4), torch.rand(2, 1, 28, 28)
    expected = {
        "latent": latent,
        "picture": network.fc4(network.fc3(latent).relu()).sigmoid().view(-1, 1, 28, 28),
        "given": picture,
        "mean": network.fc21(network.fc1(picture.view(-1, 784)).relu()),
    }
    write("vae", network.state_dict(), expected, "vae.safetensors")


def coloured_vae() -> None:
    """Coloured pictures, encoder and decoder in `Sequential`s with norms, the variance before the mean in the order of names."""
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(768, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU())
            self.fc_logvar, self.fc_mu = nn.Linear(10, 3), nn.Linear(10, 3)
            self.decoder = nn.Sequential(nn.Linear(3, 10), nn.ReLU(), nn.BatchNorm1d(10), nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 768), nn.Sigmoid())

    network = settled(Vae(), 9)
    latent, picture = torch.randn(2, 3), torch.rand(2, 3, 16, 16)
    expected = {
        "latent": latent,
        "picture": network.decoder(latent).view(-1, 3, 16, 16),
        "given": picture,
        "mean": network.fc_mu(network.encoder(picture.flatten(1))),
    }
    write("coloured_vae", {"model": half(network.state_dict()), "epoch": 9}, expected, "vae.pt")


def pytorch_vae() -> None:
    """PyTorch-VAE's: blocks with LeakyReLU, means and variances of linear layers, a last block that enlarges and then smooths."""
    widths = [4, 5, 6, 8]

    def inward(i: int, o: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1), nn.BatchNorm2d(o), nn.LeakyReLU())

    def outward(i: int, o: int) -> list[nn.Module]:
        return [nn.ConvTranspose2d(i, o, 3, 2, 1, 1), nn.BatchNorm2d(o), nn.LeakyReLU()]

    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(*(inward(i, o) for i, o in zip([3, *widths], widths)))
            self.fc_mu, self.fc_var, self.decoder_input = nn.Linear(32, 6), nn.Linear(32, 6), nn.Linear(6, 32)
            back = widths[::-1]
            self.decoder = nn.Sequential(*(nn.Sequential(*outward(i, o)) for i, o in zip(back, back[1:])))
            self.final_layer = nn.Sequential(*outward(4, 4), nn.Conv2d(4, 3, 3, padding=1), nn.Tanh())

    network = settled(Vae(), 12)
    latent, picture = torch.randn(2, 6), torch.rand(2, 3, 32, 32) * 2 - 1
    expected = {
        "latent": latent,
        "picture": network.final_layer(network.decoder(network.decoder_input(latent).view(-1, 8, 2, 2))),
        "given": picture,
        "mean": network.fc_mu(network.encoder(picture).flatten(1)),
    }
    write("pytorch_vae", network.state_dict(), expected, "vae.safetensors")


def convolutional_vae() -> None:
    """As courses write one for digits: an encoder and a decoder in one `Sequential` each, a hidden layer behind the convolutions."""
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(
                nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, 12), nn.ReLU()
            )
            self.mu, self.logvar = nn.Linear(12, 4), nn.Linear(12, 4)
            self.decoder = nn.Sequential(
                nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (8, 7, 7)),
                nn.ConvTranspose2d(8, 6, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(6, 1, 3, 2, 1, 1), nn.Sigmoid(),
            )  # fmt: skip

    network = settled(Vae(), 13)
    latent, picture = torch.randn(2, 4), torch.rand(2, 1, 28, 28)
    expected = {"latent": latent, "picture": network.decoder(latent), "given": picture, "mean": network.mu(network.encoder(picture))}
    write("convolutional_vae", {"model_state_dict": half(network.state_dict()), "epoch": 2}, expected, "vae.pt")


def attributed_vae() -> None:
    """Each layer an attribute, so that no number tells what stands between; a `config.json` does."""
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enc1, self.enc2 = nn.Conv2d(3, 6, 4, 2, 1), nn.Conv2d(6, 8, 4, 2, 1)
            self.fc_mu, self.fc_log_var, self.fc = nn.Linear(8 * 8 * 8, 5), nn.Linear(8 * 8 * 8, 5), nn.Linear(5, 8 * 8 * 8)
            self.dec1, self.dec2 = nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.ConvTranspose2d(6, 3, 4, 2, 1)

    network = settled(Vae(), 14)
    latent, picture = torch.randn(2, 5), torch.rand(2, 3, 32, 32)
    leaky = nn.functional.leaky_relu
    expected = {
        "latent": latent,
        "picture": network.dec2(network.dec1(network.fc(latent).view(-1, 8, 8, 8)).relu()).sigmoid(),
        "given": picture,
        "mean": network.fc_mu(leaky(network.enc2(leaky(network.enc1(picture), 0.1)), 0.1).flatten(1)),
    }
    config = {"activation": ["none", "relu", "sigmoid"], "encoder_activation": "leaky_relu", "negative_slope": 0.1}
    write("attributed_vae", network.state_dict(), expected, "vae.safetensors", config)


def labelled_vae() -> None:
    """The example of a VAE with a label's ones and zeros behind the picture and behind the latent."""
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc21, self.fc22 = nn.Linear(784 + 10, 14), nn.Linear(14, 4), nn.Linear(14, 4)
            self.fc3, self.fc4 = nn.Linear(4 + 10, 14), nn.Linear(14, 784)

    network = settled(Vae(), 15)
    latent, label = torch.randn(2, 4), torch.tensor([7, 2])
    z = torch.cat((latent, nn.functional.one_hot(label, 10).float()), 1)
    picture = network.fc4(network.fc3(z).relu()).sigmoid().view(-1, 1, 28, 28)
    write("labelled_vae", network.state_dict(), {"latent": latent, "label": label.float(), "picture": picture}, "cvae.safetensors")


def labelled_convolutional_vae() -> None:
    """Labels behind the latent alone: the encoder looks at pictures only."""
    class Vae(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Conv2d(1, 6, 4, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 4, 2, 1), nn.ReLU())
            self.fc_mu, self.fc_logvar, self.decoder_input = nn.Linear(392, 4), nn.Linear(392, 4), nn.Linear(4 + 3, 392)
            self.decoder = nn.Sequential(nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Sigmoid())

    network = settled(Vae(), 16)
    latent, label, picture = torch.randn(2, 4), torch.tensor([2, 0]), torch.rand(2, 1, 28, 28)
    z = torch.cat((latent, nn.functional.one_hot(label, 3).float()), 1)
    expected = {
        "latent": latent,
        "label": label.float(),
        "picture": network.decoder(network.decoder_input(z).view(-1, 8, 7, 7)),
        "given": picture,
        "mean": network.fc_mu(network.encoder(picture).flatten(1)),
    }
    write("labelled_convolutional_vae", network.state_dict(), expected, "cvae.safetensors")


def spectral() -> None:
    """Spectral norms of both kinds around a linear layer and both kinds of convolution, with a batch norm behind one."""
    older, newer = nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm
    network = nn.Sequential(
        older(nn.Linear(5, 8 * 4 * 4)), nn.ReLU(), nn.Unflatten(1, (8, 4, 4)),
        newer(nn.ConvTranspose2d(8, 6, 4, 2, 1)), nn.BatchNorm2d(6), nn.ReLU(),
        older(nn.ConvTranspose2d(6, 6, 4, 2, 1, bias=False)), nn.ReLU(), newer(nn.Conv2d(6, 3, 3, 1, 1)), nn.Tanh(),
    )  # fmt: skip
    # Trained a little, so that each norm is nearly the largest singular value.
    for _ in range(20):
        network(torch.randn(4, 5))
    settled(network, 17)
    write("spectral", half(Named("main", network).state_dict()), ask(network, (5,)), "generator.pth")


def digit_dcgan(folder: Path) -> None:
    """The answers of the published generator, whose code has strides of 2, 1, 2, 2 and no paddings."""
    weights = torch.load(folder / "generator.pth", map_location="cpu", weights_only=True)
    torch.manual_seed(10)
    x = latent = torch.randn(2, 64)
    x = x.view(2, 64, 1, 1)
    for i, stride in enumerate((2, 1, 2, 2)):
        x = nn.functional.conv_transpose2d(x, weights[f"gen.{i}.0.weight"], weights[f"gen.{i}.0.bias"], stride)
        if i < 3:
            norm = [weights[f"gen.{i}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
            x = nn.functional.batch_norm(x, *norm).relu()
    (OUT / "digit_dcgan").mkdir(parents=True, exist_ok=True)
    save_file({"latent": latent, "picture": x.tanh()}, OUT / "digit_dcgan/expected.safetensors")


if __name__ == "__main__":
    with torch.no_grad():
        for make in (unpadded, named_blocks, behind_linear, configured, upsampled, smooth, conditional, vae, coloured_vae, pytorch_vae, convolutional_vae, attributed_vae, labelled_vae, labelled_convolutional_vae, spectral):
            make()
        for given in sys.argv[1:]:
            digit_dcgan(Path(given))
