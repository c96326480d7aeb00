"""How much of a moving average of weights stays."""


def warmed_up_decay(decay: float, merges: int) -> float:
    """min(decay, (1 + n) / (10 + n)) with n = `merges` before: an average soon forgets the weights it began with, and a
    short training is not dominated by them. TensorFlow's ExponentialMovingAverage (Abadi et al. 2016, 1603.04467)."""
    return min(decay, (1 + merges) / (10 + merges))
