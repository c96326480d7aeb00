"""What to type for a model of images that is known by another name, such as WGAN, or by a misspelled one."""

import difflib
from collections.abc import Iterable

WGAN_GP = (
    "--model dcgan --dcgan.divergence wasserstein --dcgan.no-batch-norm --dcgan.penalties.gradient 10 "
    "--dcgan.discriminator-turns 5 --dcgan.betas 0 0.9"
)
"""Gulrajani et al. 2017 (1704.00028), algorithm 1: λ = 10, five steps of the critic, β₁ = 0 and β₂ = 0.9."""
STYLEGAN2 = "--model fq_gan --fq-gan.host stylegan2 --fq-gan.quantization.codes 0"
DIFFUSION, FLOW, TRANSLATION = "--model ddpm", "--model real_nvp", "--model u_gat_it"

OTHER_NAMES = {
    "wgan": WGAN_GP,
    "wgangp": WGAN_GP,
    "wasserstein": WGAN_GP,
    "lsgan": "--model dcgan --dcgan.divergence least_squares",
    "sngan": "--model dcgan --dcgan.divergence hinge --dcgan.no-batch-norm --dcgan.penalties.spectral-norm",
    "r1gan": "--model dcgan --dcgan.no-batch-norm --dcgan.penalties.r1 1",
    "biggan": "--model fq_gan --fq-gan.host biggan --fq-gan.quantization.codes 0",
    "stylegan": STYLEGAN2,
    "stylegan2": STYLEGAN2,
    "conditionalgan": "--model cgan",
    "cyclegan": TRANSLATION,
    "translation": TRANSLATION,
    "diffusion": DIFFUSION,
    "ddim": DIFFUSION,
    "flow": FLOW,
    "normalizingflow": FLOW,
    "betavae": "--model vae --vae.beta 4",
    "iwae": "--model vae --vae.objective iwae --vae.samples 5",
    "autoregressive": "--model pixelcnn",
    "pixelcnn++": "--model pixelcnn --pixelcnn.likelihood logistic",
    "cnn": "--model classifier",
}
"""Options by names in small letters without spaces, dashes and underscores. Translations are of two classes."""


def options_for(name: str, models: Iterable[str]) -> str | None:
    """The options of the model that `name` stands for, or of the one with the most similar name; None if there is
    none. `models`: the names of `--model`."""
    plain = _plain(name)
    spelled = {_plain(model): f"--model {model}" for model in models}
    known = {**OTHER_NAMES, **spelled}
    if plain in known:
        return known[plain]
    near = difflib.get_close_matches(plain, known, n=1, cutoff=0.85)
    return known[near[0]] if near else None


def _plain(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign not in " -_")
