"""rlgen's image models as a contender of `image_throughput.py`: the session that `rlgen train image` runs.

Its rows of metrics every 50 updates, TensorBoard and the check for losses that are not finite are on; pictures and
checkpoints are off.
"""

import math
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from turns import Turns, arguments

from rlgen.agents.commands.train_image import settings_of
from rlgen.agents.session import Session
from rlgen.generators import TrainerConfig
from rlgen.runs import Metrics, RunFolder
from rlgen.system.allocation import keep_freed_memory

BATCH, LATENT = 100, {"vae": 20, "dcgan": 100}


class Counted(Session):
    """Counts an update at every call between two of them."""

    turns: Turns

    def between(self) -> None:
        super().between()
        self.turns()


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("model", choices=["vae", "dcgan"])
    parser.add_argument("--data", required=True, help="as for `rlgen train image`")
    parser.add_argument("--binarize", default="auto", help="as for `rlgen train image`")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true")
    chosen = parser.parse_args()
    keep_freed_memory()  # as the command line does
    turns = Turns(chosen, {name: version(name) for name in ("rlgen", "torch")})
    with tempfile.TemporaryDirectory() as scratch:
        config = settings_of(chosen.model)(
            out=Path(scratch) / "run",
            data=chosen.data,
            device=chosen.device,
            binarize=chosen.binarize,
            game=TrainerConfig(precision=chosen.precision, compile=chosen.compile),
        )
        assert (config.batch_size, config.model_config.latent) == (BATCH, LATENT[chosen.model])
        with ExitStack() as stack:
            training = config.build(stack, None)
            folder = RunFolder.create(config.out, config.recorded())
            metrics = stack.enter_context(Metrics(folder))
            session = Counted(
                folder=folder, trainable=training, metrics=metrics, steps=10**9, save_every=math.inf, evaluate_every=0
            )
            session.turns = turns
            session.run()


if __name__ == "__main__":
    main()
