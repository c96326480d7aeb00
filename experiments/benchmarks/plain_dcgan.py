"""A plain PyTorch DCGAN as a contender of `image_throughput.py`: the loop of PyTorch's tutorial, with default Adam.

https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html with the networks of rlgen's DCGAN for 28 × 28
pixels, batches of 100 and `BCEWithLogitsLoss`. Its loader has no worker processes, and like the tutorial it reads
the losses and means in every update. `--batches index` takes the batches from one tensor on the device instead;
`--fakes anew` makes new fakes for the generator's own step, as Goodfellow et al. 2014, Algorithm 1, and rlgen do,
where the tutorial's two steps share them.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, TensorDataset
from turns import Turns, arguments

BATCH, LATENT, WIDTH = 100, 100, 64


def make_generator() -> nn.Sequential:
    """Latents [B, Z, 1, 1] to images [B, 1, 28, 28] in [-1, 1]."""
    return nn.Sequential(
        nn.ConvTranspose2d(LATENT, 2 * WIDTH, 7, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1),
        nn.Tanh(),
    )


def make_discriminator() -> nn.Sequential:
    """Images to logits [B]."""
    return nn.Sequential(
        nn.Conv2d(1, WIDTH, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Flatten(),
        nn.Linear(2 * WIDTH * 7 * 7, 1),
        nn.Flatten(0),
    )


def initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def loaded(images: Tensor, device: str) -> Iterator[Tensor]:
    """Shuffled batches by torch's loader, epoch after epoch."""
    loader = DataLoader(TensorDataset(images), BATCH, shuffle=True, pin_memory=device == "cuda")
    while True:
        for (batch,) in loader:
            yield batch.to(device)


def indexed(images: Tensor, device: str) -> Iterator[Tensor]:
    """The same without the loader's work on each image."""
    images = images.to(device)
    while True:
        for rows in torch.randperm(len(images), device=device).split(BATCH):
            yield images[rows]


def train(batches: Iterator[Tensor], device: str, anew: bool, fused: bool | None, turns: Callable[[], None]) -> None:
    generator, discriminator = make_generator().to(device), make_discriminator().to(device)
    generator.apply(initialize)
    discriminator.apply(initialize)
    criterion = nn.BCEWithLogitsLoss()
    discriminator_adam = optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999), fused=fused)
    generator_adam = optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999), fused=fused)
    losses = []
    for real in batches:
        ones, zeros = torch.ones(BATCH, device=device), torch.zeros(BATCH, device=device)
        discriminator.zero_grad()
        logit = discriminator(real)
        real_loss = criterion(logit, ones)
        real_loss.backward()
        real_mean = logit.mean().item()
        with torch.set_grad_enabled(not anew):
            fake = generator(torch.randn(BATCH, LATENT, 1, 1, device=device))
        logit = discriminator(fake.detach())
        fake_loss = criterion(logit, zeros)
        fake_loss.backward()
        fake_mean = logit.mean().item()
        discriminator_adam.step()
        if anew:
            fake = generator(torch.randn(BATCH, LATENT, 1, 1, device=device))
        generator.zero_grad()
        loss = criterion(discriminator(fake), ones)
        loss.backward()
        generator_adam.step()
        losses.append((loss.item(), (real_loss + fake_loss).item(), real_mean, fake_mean))
        turns()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", required=True, help=".npy of bytes [N, 1, 28, 28]")
    parser.add_argument("--batches", choices=["loader", "index"], default="loader")
    parser.add_argument("--fakes", choices=["shared", "anew"], default="shared")
    parser.add_argument("--fused", action="store_true", help="torch's fused Adam")
    chosen = parser.parse_args()
    turns = Turns(chosen, {"torch": torch.__version__})
    images = torch.from_numpy(np.load(chosen.images)).float().div_(127.5).sub_(1)
    make = loaded if chosen.batches == "loader" else indexed
    train(make(images, chosen.device), chosen.device, chosen.fakes == "anew", chosen.fused or None, turns)


if __name__ == "__main__":
    main()
