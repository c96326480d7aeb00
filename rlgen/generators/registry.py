"""All image models, language models and models of instructions by their names on the command line."""

from rlgen.generators.air import AIR
from rlgen.generators.began import BEGAN
from rlgen.generators.cgan import CGAN
from rlgen.generators.dc_ign import DCIGN
from rlgen.generators.dcgan import DCGAN
from rlgen.generators.ddpm import DDPM
from rlgen.generators.draw import DRAW
from rlgen.generators.fgan import FGAN
from rlgen.generators.fq_gan import FQGAN
from rlgen.generators.gan import GAN
from rlgen.generators.gran import GRAN
from rlgen.generators.image_classifier import ImageClassifier
from rlgen.generators.image_model import ImageModel
from rlgen.generators.improved_gan import ImprovedGAN
from rlgen.generators.infogan import InfoGAN
from rlgen.generators.instruction_model import InstructionModel
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.lapgan import LAPGAN
from rlgen.generators.nice import NICE
from rlgen.generators.pixelcnn import PixelCNN
from rlgen.generators.pixelrnn import PixelRNN
from rlgen.generators.real_nvp import RealNVP
from rlgen.generators.semi_supervised_gan import SemiSupervisedGAN
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.generators.u_gat_it import UGATIT
from rlgen.generators.vae import IAFVAE, VAE
from rlgen.generators.vae_gan import VAEGAN

GENERATORS: dict[str, type[ImageModel]] = {
    "vae": VAE,
    "gan": GAN,
    "air": AIR,
    "began": BEGAN,
    "cgan": CGAN,
    "classifier": ImageClassifier,
    "dc_ign": DCIGN,
    "dcgan": DCGAN,
    "ddpm": DDPM,
    "draw": DRAW,
    "fgan": FGAN,
    "gran": GRAN,
    "fq_gan": FQGAN,
    "iaf_vae": IAFVAE,
    "improved_gan": ImprovedGAN,
    "infogan": InfoGAN,
    "lapgan": LAPGAN,
    "nice": NICE,
    "real_nvp": RealNVP,
    "pixelcnn": PixelCNN,
    "pixelrnn": PixelRNN,
    "semi_supervised_gan": SemiSupervisedGAN,
    "u_gat_it": UGATIT,
    "vae_gan": VAEGAN,
}
TEXT_MODELS: dict[str, type[LanguageModel] | type[SentenceVAE]] = {"lm": LanguageModel, "vae": SentenceVAE}
INSTRUCTION_MODELS: dict[str, type[InstructionModel]] = {"prevalent": InstructionModel}
