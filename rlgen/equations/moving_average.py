"""The decay of a moving average of weights."""


def warmed_up_decay(decay: float, merges: int) -> float:
    """min(decay, (1 + n) / (10 + n)), with n = `merges` the number of earlier updates. A small decay at the start keeps
    the initial weights from dominating a short training. TensorFlow's ExponentialMovingAverage (Abadi et al. 2016,
    1603.04467)."""
    return min(decay, (1 + merges) / (10 + merges))
