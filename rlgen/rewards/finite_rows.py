"""Transitions whose numbers are finite."""

import torch

from rlgen.data.transitions import Transitions


def finite_rows(batch: Transitions) -> Transitions:
    """`batch` [B], in which rows with NaN or infinity are replaced by others of it, so that statistics, pools and
    networks never see them. Without waiting for a device. Rows without finite ones among them stay."""
    floats = (batch.observations, batch.actions, batch.next_observations)
    whole = torch.stack([torch.isfinite(each).flatten(1).all(1) for each in floats]).all(0)
    finite_first = torch.argsort((~whole).byte(), stable=True)
    rows = torch.arange(len(batch), device=whole.device)
    return batch[torch.where(whole, rows, finite_first[rows % whole.sum().clamp(min=1)])]
