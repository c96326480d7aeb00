"""A language model with its tokenizer: texts in, texts out."""

from contextlib import nullcontext
from dataclasses import dataclass

from rlgen.data.tokenized_model import TokenizedModel
from rlgen.errors import problem
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.metrics.text_likelihood import TextLikelihood, text_log_prob
from rlgen.generators.text_sampling import Sampling, sample_tokens
from rlgen.system.rng import own_randomness


@dataclass(frozen=True)
class TextModel(TokenizedModel[LanguageModel]):
    """A language model of the tokens of a tokenizer."""

    def sample(
        self, n: int = 1, length: int = 500, prompt: str = "", sampling: Sampling | None = None, seed: int | None = None
    ) -> list[str]:
        """`n` texts that begin with `prompt`, each continued by `length` tokens. With a `seed` they are the same every
        time, and torch's generator is as before afterwards.

        `model.sample(2, prompt="ROMEO:", sampling=Sampling(temperature=0.8, top_k=50))`
        """
        if n < 1 or length < 0:
            raise problem("at least one sample of 0 tokens or more", f"{n} of {length}", "correct these")
        given = self.tokenizer.encode(prompt)
        with nullcontext() if seed is None else own_randomness(seed, self.device):
            tokens = sample_tokens(self.model, n, length, given, sampling)
        return [self.tokenizer.decode([*given.tolist(), *row]) for row in tokens.tolist()]

    def likelihood(self, text: str, blocks: bool = False) -> TextLikelihood:
        """The likelihood of a text in windows as long as those of the training. By default they overlap by half, so
        that every token but the first ones is predicted from at least half a window; or in `blocks`, side by side."""
        tokens = self.tokenizer.encode(text).to(self.device)
        window = self.model.config.context
        log_prob = text_log_prob(self.model, tokens, window, window if blocks else (window + 1) // 2)
        return TextLikelihood.of(log_prob, len(text), window)
