"""Every model of images by the name it has on the command line."""

from rlgen.generators.dcgan import DCGAN
from rlgen.generators.gan import GAN
from rlgen.generators.image_model import ImageModel
from rlgen.generators.vae import VAE

GENERATORS: dict[str, type[ImageModel]] = {"vae": VAE, "gan": GAN, "dcgan": DCGAN}
