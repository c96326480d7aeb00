"""The curiosities by name: what each rewards, and the weight that its bonus has by default."""

from typing import Any

from rlgen.rewards.counts import StateCounts, StateCountsConfig
from rlgen.rewards.dynamics_models import (
    EnsembleDisagreement,
    EnsembleDisagreementConfig,
    PredictionError,
    PredictionErrorConfig,
)
from rlgen.rewards.episodic_ellipse import EpisodicEllipse, EpisodicEllipseConfig
from rlgen.rewards.first_visits import FirstVisitCounts, FirstVisitCountsConfig
from rlgen.rewards.information_gain import InformationGain, InformationGain2016Config, InformationGainConfig
from rlgen.rewards.intrinsic_curiosity import IntrinsicCuriosity, IntrinsicCuriosityConfig
from rlgen.rewards.latent_bayesian_surprise import LatentBayesianSurprise, LatentBayesianSurpriseConfig
from rlgen.rewards.pseudo_counts import DensityCounts, DensityCountsConfig
from rlgen.rewards.random_network_distillation import RandomNetworkDistillation, RandomNetworkDistillationConfig

from .curiosity import Curiosity


class VIME(Curiosity[InformationGainConfig]):
    """Information gain about the changes of the observation, divided by the recent median gain (Houthooft et al. 2016,
    1605.09674, with a model that knows noise; `VIME2016` is the paper's)."""

    name = "vime"
    source_type = InformationGain
    usual_eta = 1e-3


class VIME2016(Curiosity[InformationGain2016Config]):
    """VIME as in its paper: a model of the next observation with the same noise everywhere, whose gain is in effect the
    squared error (Houthooft et al. 2016, 1605.09674).

    The gain of a transition is noisy, because it is of one draw of the model's weights: two draws may rank a rollout's
    transitions with a correlation of 0.3 to 0.6 on SparseMountainCar. `VIME2016({"samples": 10})` takes the mean
    gradient of ten, as the released code does; the bonus then takes about eight times as long.
    """

    name = "vime_2016"
    source_type = InformationGain
    usual_eta = 1e-3


class RND(Curiosity[RandomNetworkDistillationConfig]):
    """Error of imitating a fixed random network on the next observation, divided by the standard deviation of its
    discounted sums (Burda et al. 2018, arXiv 1810.12894)."""

    name = "rnd"
    source_type = RandomNetworkDistillation
    usual_eta = 0.3


class ICM(Curiosity[IntrinsicCuriosityConfig]):
    """Half the squared error of a forward model in features trained by an inverse model, not normalized; the released
    code has η = 0.01 (Pathak et al. 2017, arXiv 1705.05363)."""

    name = "icm"
    source_type = IntrinsicCuriosity
    usual_eta = 0.03


class L2(Curiosity[PredictionErrorConfig]):
    """Squared error of predicting the next observation, as a fraction of the largest so far (Stadie et al. 2015, arXiv
    1507.00814); Houthooft et al. 2016 compare VIME with it."""

    name = "l2"
    source_type = PredictionError
    usual_eta = 0.3


class Disagreement(Curiosity[EnsembleDisagreementConfig]):
    """Variance of an ensemble's predictions of the next observation, divided by the standard deviation of its
    discounted sums (Pathak et al. 2019, arXiv 1906.04161)."""

    name = "disagreement"
    source_type = EnsembleDisagreement
    usual_eta = 0.3


class LBS(Curiosity[LatentBayesianSurpriseConfig]):
    """KL divergence by which the next observation changes the belief about a latent, divided by the standard deviation
    of its discounted sums (Mazzaglia et al. 2022, arXiv 2104.07495)."""

    name = "lbs"
    source_type = LatentBayesianSurprise
    usual_eta = 0.3


class Counts(Curiosity[StateCountsConfig]):
    """1/√n of the visits to the hashed next observation; for few observed numbers (Tang et al. 2017, #Exploration,
    arXiv 1611.04717)."""

    name = "counts"
    of_places = True
    source_type = StateCounts
    usual_eta = 0.003


class PseudoCounts(Curiosity[DensityCountsConfig]):
    """1/√N̂ of the next observation, N̂ the number of visits by which a density model knows it, which near states share;
    for few observed numbers (Bellemare et al. 2016, arXiv 1606.01868; Ostrovski et al. 2017, arXiv 1703.01310)."""

    name = "pseudo_counts"
    of_places = True
    source_type = DensityCounts
    usual_eta = 0.003


class FirstVisits(Curiosity[FirstVisitCountsConfig]):
    """1/√n of the visits to the hashed next observation where its episode visits it for the first time, else 0; for few
    observed numbers and on-policy models (Zhang et al. 2020, BeBold, arXiv 2012.08621)."""

    name = "first_visits"
    of_places = True
    source_type = FirstVisitCounts
    usual_eta = 0.003


class E3B(Curiosity[EpisodicEllipseConfig]):
    """How new the next observation is within its episode; for few observed numbers and on-policy models (Henaff et al.
    2022, arXiv 2210.05805)."""

    name = "e3b"
    of_places = True
    source_type = EpisodicEllipse
    usual_eta = 1e-3


KINDS = (VIME, VIME2016, RND, ICM, L2, Disagreement, LBS, Counts, PseudoCounts, FirstVisits, E3B)
CURIOSITIES: dict[str, type[Curiosity[Any]]] = {kind.name: kind for kind in KINDS}
