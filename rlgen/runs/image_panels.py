"""Which curves of image models are drawn together, and how they are called."""

from rlgen.runs.curve_data import Panel, Series

UPDATES = "updates"
ANY = (None, None)


def _panel(
    title: str, *series: tuple[str, str], limits: tuple[float | None, float | None] = ANY, line: float | None = None
) -> Panel:
    """Of (label, columns), against updates; a model with several levels has one for each."""
    return Panel(title, tuple(Series(*each) for each in series), limits, line, UPDATES, levels=True)


PANELS = (
    _panel("Test images: negative log-likelihood, at most [nats]", ("bound", r"evaluation/nll")),
    _panel(
        "Test images: length of their code, at most [bits per dimension]", ("bound", r"evaluation/bits_per_dimension")
    ),
    _panel("Test images in the wrong class", ("share", r"evaluation/test_error"), limits=(0, None)),
    _panel("Lower bounds on the evidence [nats]", ("ELBO", r".*/elbo"), ("importance-weighted", r".*/iwae")),
    _panel("KL to the prior [nats]", ("KL", r".*/kl"), limits=(0, None)),
    _panel("Log-likelihood given the latent [nats]", ("log-likelihood", r".*/log_likelihood")),
    _panel(
        "Reconstruction, as the discriminator sees it [nats]",
        ("encoder's turn", r"encoder/reconstruction"),
        ("decoder's turn", r"decoder/reconstruction"),
    ),
    _panel(
        "Discriminator right on",
        ("real images", r".*/real_accuracy"),
        ("fakes", r".*/fake_accuracy"),
        limits=(0, 1),
        line=0.5,
    ),
    _panel("Labelled images in the right class", ("share", r".*/class_accuracy"), limits=(0, 1)),
    _panel(
        "Share of turns that count",
        ("discriminator", r"discriminator/learns"),
        ("decoder", r"decoder/learns"),
        limits=(0, 1),
    ),
    _panel(
        "Losses of the players",
        ("discriminator", r"discriminator(_\d+)?/loss"),
        ("generator", r"generator(_\d+)?/loss"),
        ("decoder", r"decoder/loss"),
    ),
    _panel("Divergence from the data, at least", ("bound", r"discriminator/bound")),
    _panel(
        "Parts of the discriminator's loss",
        ("divergence", r"discriminator(_\d+)?/divergence"),
        ("penalty", r"discriminator(_\d+)?/penalty"),
    ),
    _panel(
        "Parts of the generator's loss",
        ("divergence", r"generator(_\d+)?/divergence"),
        ("penalty", r"generator(_\d+)?/penalty"),
    ),
    _panel(
        "Parts of the classifier's loss [nats]",
        ("class, of labelled images", r"discriminator/supervised"),
        ("real or not, of others", r"discriminator/unsupervised"),
    ),
    _panel("Information about the category, at least [nats]", ("category", r"generator/information")),
    _panel(
        "Uniform codes: share of their variance that is told",
        ("uniform codes", r"generator/uniform_r2"),
        limits=(None, 1),
        line=0.0,
    ),
    _panel(
        "Reconstruction errors",
        ("real images", r".*/real_error"),
        ("fakes", r".*/fake_error"),
        limits=(0, None),
    ),
    _panel(
        "Balance of reconstruction errors",
        ("convergence measure", r"balance/convergence"),
        ("weight of fakes", r"balance/weight"),
        limits=(0, None),
    ),
    _panel("Loss of the encoder [nats]", ("loss", r"encoder/loss")),
    _panel("Loss", ("loss", r"(?!discriminator|generator|encoder|decoder).*/loss")),
)
