"""Names that models have elsewhere lead to options that exist."""

import pytest

from rlgen.agents.commands.known_names import OTHER_NAMES, options_for
from rlgen.agents.commands.parsing import options_of
from rlgen.generators import GENERATORS


@pytest.mark.parametrize("options", sorted(set(OTHER_NAMES.values())))
def test_the_options_of_another_name_are_options_of_its_model(options: str) -> None:
    _, model, *rest = options.split()
    known = options_of(GENERATORS[model].config_type, f"{model.replace('_', '-')}.")
    assert {word for word in rest if word.startswith("--")} <= set(known)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("WGAN", "--model dcgan --dcgan.divergence wasserstein"),
        ("wasserstein_gan", "--model dcgan --dcgan.divergence wasserstein"),
        ("StyleGAN2", "--model fq_gan --fq-gan.host stylegan2"),
        ("big-gan", "--model fq_gan --fq-gan.host biggan"),
        ("diffusion", "--model ddpm"),
        ("flow", "--model real_nvp"),
        ("RealNVP", "--model real_nvp"),
        ("vaegan", "--model vae_gan"),
        ("dc-gan", "--model dcgan"),
    ],
)
def test_another_name_or_spelling_leads_to_the_model(name: str, start: str) -> None:
    assert (options_for(name, GENERATORS) or "").startswith(start)


def test_nonsense_leads_to_no_model() -> None:
    assert options_for("nonsense", GENERATORS) is None
