"""Sentences of a small grammar, and the command of a short training of a sentence VAE."""

import itertools
from pathlib import Path

WORDS = [["the", "a"], ["cat", "dog", "rat"], ["sat", "lay"], ["on", "by"], ["it .", "me ."]]
SENTENCES = [" ".join(words) for words in itertools.product(*WORDS)]
OPTIONS = """--model vae --seed 3 --threads 1 --device cpu --batch-size 4 --log-every 2 --checkpoint-every 5
--evaluate-every 6 --steps 13 --samples 2 --sample-length 12 --importance-samples 3 --vae.context 24 --vae.latent 3
--vae.width 8 --vae.depth 1 --vae.heads 1 --vae.dropout 0.1 --vae.word-dropout 0.2 --game.average 0.9"""


def command(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "text", "--data", str(data), *OPTIONS.split(), *more, "--out", str(out)]
