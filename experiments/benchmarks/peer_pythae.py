"""The VAE of `pythae` 0.1.2 as a contender of `image_throughput.py`, in an environment of its own:

    python3 -m venv PLACE
    PLACE/bin/pip install torch==2.13.0
    PLACE/bin/pip install torch==2.13.0 pythae==0.1.2

Its `TrainingPipeline` with the trainer's defaults except batch size and learning rate: a loader without worker
processes, the progress bar, a copy of the best model after every epoch. No evaluation, no checkpoints. The networks are
the size of rlgen's, given as pythae's own encoder and decoder classes. `--batches index` takes the batches from one
tensor on the device instead of the loader, with pythae's trainer for the rest. `--fused` is torch's fused Adam.
"""

import tempfile
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
import torch
from pythae.data.datasets import BaseDataset, DatasetOutput
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor, nn
from turns import Turns, arguments

BATCH, HIDDEN, LATENT, SHAPE = 100, 500, 20, (1, 28, 28)
PIXELS = 28 * 28


class Encoder(BaseEncoder):
    """784-500 to two heads of 20."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.Tanh())
        self.mean, self.log_var = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)

    def forward(self, x: Tensor) -> ModelOutput:
        hidden = self.hidden(x)
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_var(hidden))


class Decoder(BaseDecoder):
    """20-500-784, with probabilities as pythae's loss requires."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid())

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z).reshape(-1, *SHAPE))


class AfterUpdate(TrainingCallback):
    """Counts every update."""

    def __init__(self, turns: Turns):
        self.turns = turns

    def on_train_step_end(self, training_config: BaseTrainerConfig, **kwargs) -> None:
        self.turns()


class Indexed:
    """A replacement for the loader."""

    def __init__(self, dataset: BaseDataset, device: str):
        self.dataset = dataset
        self.data, self.labels = dataset.data.to(device), dataset.labels.to(device)

    def __len__(self) -> int:
        return len(self.data) // BATCH

    def __iter__(self) -> Iterator[DatasetOutput]:
        for rows in torch.randperm(len(self.data), device=self.data.device).split(BATCH):
            yield DatasetOutput(data=self.data[rows], labels=self.labels[rows])


class IndexedTrainer(BaseTrainer):
    """pythae's trainer with another loader."""

    def get_train_dataloader(self, train_dataset: BaseDataset) -> Indexed:
        return Indexed(train_dataset, self.device)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", required=True, help=".npy of bytes [N, 1, 28, 28]")
    parser.add_argument("--batches", choices=["loader", "index"], default="loader")
    parser.add_argument("--fused", action="store_true")
    chosen = parser.parse_args()
    turns = Turns(chosen, {name: version(name) for name in ("pythae", "torch", "numpy")})
    images = torch.from_numpy(np.load(chosen.images)).float().div_(255)
    model = VAE(VAEConfig(input_dim=SHAPE, latent_dim=LATENT, reconstruction_loss="bce"), Encoder(), Decoder())
    with tempfile.TemporaryDirectory() as scratch:
        config = BaseTrainerConfig(
            output_dir=scratch,
            num_epochs=10**6,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            no_cuda=chosen.device == "cpu",
            optimizer_params={"fused": True} if chosen.fused else None,
        )
        callbacks = [AfterUpdate(turns)]
        if chosen.batches == "loader":
            TrainingPipeline(model, config)(images, callbacks=callbacks)
        else:
            dataset = BaseDataset(images, torch.ones(len(images)))
            IndexedTrainer(model, dataset, training_config=config, callbacks=callbacks).train()


if __name__ == "__main__":
    main()
