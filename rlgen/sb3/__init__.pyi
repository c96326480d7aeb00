from .attacked_policy import AttackedPolicy
from .average import PolicyAverage
from .babyai_bot import BabyAIBot
from .backward_starts import BackwardStarts
from .device_ppo import DevicePPO
from .exploration_noise import ExplorationNoise
from .fast_ppo import FastPPO
from .fast_sac import FastSAC
from .fast_trpo import FastTRPO
from .features import normalized_policy
from .gymnasium_vec_env import GymnasiumVecEnv
from .image_features import DictFeatures, ImageFeatures
from .instruction_extractor import InstructionFeatures
from .latent_code import LatentCode
from .load import LoadedPolicy, load_policy
from .model_state import load_model_state, model_state
from .policy_start import start_from_policy
from .relabel import Relabel, WeightedReward
from .relabel_replay import RelabelReplay
from .replaced_rewards import LearnedRewards
from .vec_env import SimVecEnv

__all__ = [
    "AttackedPolicy",
    "BabyAIBot",
    "BackwardStarts",
    "DevicePPO",
    "DictFeatures",
    "ExplorationNoise",
    "FastPPO",
    "FastSAC",
    "FastTRPO",
    "GymnasiumVecEnv",
    "ImageFeatures",
    "InstructionFeatures",
    "LatentCode",
    "LearnedRewards",
    "LoadedPolicy",
    "PolicyAverage",
    "Relabel",
    "RelabelReplay",
    "SimVecEnv",
    "WeightedReward",
    "load_model_state",
    "load_policy",
    "model_state",
    "normalized_policy",
    "start_from_policy",
]
