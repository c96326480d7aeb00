"""Dataset aggregation: which policy acts while an expert labels the visited states. Ross et al. 2011 (DAgger,
1011.0686)."""


def expert_share(iteration: int, decay: float) -> float:
    """β_i = p^(i - 1): probability that the expert's action is executed in a step of iteration i, counted from 1, with
    p = `decay`. With p = 0 that is I(i = 1): the expert acts in the first iteration, the learner in all others. Ross
    et al. 2011 (1011.0686), section 3 and Algorithm 3.1."""
    return decay ** (iteration - 1)
