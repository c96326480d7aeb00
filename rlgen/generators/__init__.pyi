from .air import AIR, AIRConfig
from .began import BEGAN, BEGANConfig
from .cgan import CGAN, CGANConfig
from .dc_ign import DCIGN, DCIGNConfig
from .dcgan import DCGAN, DCGANConfig
from .ddpm import DDPM, DDPMConfig
from .draw import DRAW, DRAWConfig
from .fgan import FGAN, FGANConfig
from .flow_model import FlowModel
from .fq_gan import FQGAN, FQGANConfig
from .gan import GAN, AdversarialGame, AdversarialGameConfig, GANConfig, PenaltyConfig
from .generative_model import GenerativeModel
from .gran import GRAN, GRANConfig
from .image_classifier import ImageClassifier, ImageClassifierConfig
from .image_model import ImageModel, ImageShape, Player
from .improved_gan import ImprovedGAN, ImprovedGANConfig
from .infogan import InfoGAN, InfoGANConfig
from .instruction_model import InstructionModel, InstructionModelConfig
from .language_model import LanguageModel, LanguageModelConfig
from .lapgan import LAPGAN, LAPGANConfig
from .nice import NICE, NICEConfig
from .pixelcnn import PixelCNN, PixelCNNConfig
from .pixelrnn import PixelRNN, PixelRNNConfig
from .real_nvp import RealNVP, RealNVPConfig
from .registry import GENERATORS, INSTRUCTION_MODELS, TEXT_MODELS
from .semi_supervised_gan import SemiSupervisedGAN, SemiSupervisedGANConfig
from .sentence_vae import SentenceVAE, SentenceVAEConfig
from .speaker import Speaker, SpeakerConfig
from .text_sampling import Sampling
from .trainer import Trainer, TrainerConfig
from .u_gat_it import UGATIT, UGATITConfig
from .vae import IAFVAE, VAE, IAFVAEConfig, VAEConfig
from .vae_gan import VAEGAN, VAEGANConfig

__all__ = [
    "AIR",
    "BEGAN",
    "CGAN",
    "DCGAN",
    "DCIGN",
    "DDPM",
    "DRAW",
    "FGAN",
    "FQGAN",
    "GAN",
    "GENERATORS",
    "GRAN",
    "IAFVAE",
    "INSTRUCTION_MODELS",
    "LAPGAN",
    "NICE",
    "TEXT_MODELS",
    "UGATIT",
    "VAE",
    "VAEGAN",
    "AIRConfig",
    "AdversarialGame",
    "AdversarialGameConfig",
    "BEGANConfig",
    "CGANConfig",
    "DCGANConfig",
    "DCIGNConfig",
    "DDPMConfig",
    "DRAWConfig",
    "FGANConfig",
    "FQGANConfig",
    "FlowModel",
    "GANConfig",
    "GRANConfig",
    "GenerativeModel",
    "IAFVAEConfig",
    "ImageClassifier",
    "ImageClassifierConfig",
    "ImageModel",
    "ImageShape",
    "ImprovedGAN",
    "ImprovedGANConfig",
    "InfoGAN",
    "InfoGANConfig",
    "InstructionModel",
    "InstructionModelConfig",
    "LAPGANConfig",
    "LanguageModel",
    "LanguageModelConfig",
    "NICEConfig",
    "PenaltyConfig",
    "PixelCNN",
    "PixelCNNConfig",
    "PixelRNN",
    "PixelRNNConfig",
    "Player",
    "RealNVP",
    "RealNVPConfig",
    "Sampling",
    "SemiSupervisedGAN",
    "SemiSupervisedGANConfig",
    "SentenceVAE",
    "SentenceVAEConfig",
    "Speaker",
    "SpeakerConfig",
    "Trainer",
    "TrainerConfig",
    "UGATITConfig",
    "VAEConfig",
    "VAEGANConfig",
]
