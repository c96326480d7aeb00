from .adversarial import Adversarial, AdversarialConfig
from .airl_discriminator import AIRLDiscriminator, AIRLDiscriminatorConfig
from .bonus_unit import BonusUnit, ReturnNormalizer
from .bonus_value import BonusValue, BonusValueConfig
from .code_posterior import CodePosterior, CodePosteriorConfig
from .coherent import CoherentReward, CoherentRewardConfig
from .counts import StateCounts, StateCountsConfig
from .dynamics_models import EnsembleDisagreement, EnsembleDisagreementConfig, PredictionError, PredictionErrorConfig
from .episodic_ellipse import EpisodicEllipse, EpisodicEllipseConfig
from .first_visits import FirstVisitCounts, FirstVisitCountsConfig
from .information_gain import InformationGain, InformationGain2016Config, InformationGainConfig
from .intrinsic_curiosity import IntrinsicCuriosity, IntrinsicCuriosityConfig
from .latent_bayesian_surprise import LatentBayesianSurprise, LatentBayesianSurpriseConfig
from .learned_reward import LearnedReward
from .novelty import Novelty, NoveltyConfig
from .pseudo_counts import DensityCounts, DensityCountsConfig
from .random_network_distillation import RandomNetworkDistillation, RandomNetworkDistillationConfig
from .source import RewardSource, TaskShape

__all__ = [
    "AIRLDiscriminator",
    "AIRLDiscriminatorConfig",
    "Adversarial",
    "AdversarialConfig",
    "BonusUnit",
    "BonusValue",
    "BonusValueConfig",
    "CodePosterior",
    "CodePosteriorConfig",
    "CoherentReward",
    "CoherentRewardConfig",
    "DensityCounts",
    "DensityCountsConfig",
    "EnsembleDisagreement",
    "EnsembleDisagreementConfig",
    "EpisodicEllipse",
    "EpisodicEllipseConfig",
    "FirstVisitCounts",
    "FirstVisitCountsConfig",
    "InformationGain",
    "InformationGain2016Config",
    "InformationGainConfig",
    "IntrinsicCuriosity",
    "IntrinsicCuriosityConfig",
    "LatentBayesianSurprise",
    "LatentBayesianSurpriseConfig",
    "LearnedReward",
    "Novelty",
    "NoveltyConfig",
    "PredictionError",
    "PredictionErrorConfig",
    "RandomNetworkDistillation",
    "RandomNetworkDistillationConfig",
    "ReturnNormalizer",
    "RewardSource",
    "StateCounts",
    "StateCountsConfig",
    "TaskShape",
]
