from .attacks import FGSM, PGD, Attack
from .autoregressive import MADE, InverseAutoregressiveStep, MaskedAutoregressiveFlow
from .batch_norm import VirtualBatchNorm
from .bayesian import BayesianMLP
from .bayesian_dense import BayesianDense, GaussianDense
from .biggan import BigGANGenerator
from .binned_density import BinnedDensity
from .bottleneck import Bottleneck
from .cross_modal import CrossModalConfig, CrossModalFeatures, CrossModalTransformer
from .dropout import HiddenDropout, InputDropout
from .flow_dense import FlowDense
from .flows import AdditiveCoupling, AffineCoupling, Flow, affine_couplings
from .image_flows import ActNorm, MultiScaleFlow
from .layers import EnsembleMLP, GaussianNoise, Maxout, MinibatchDiscrimination, WeightNormLinear, mlp
from .masked_conv import MaskedConv2d
from .moving_average import MovingAverage
from .normalizer import ActionScale, Normalizer
from .past import Past
from .penalties import (
    R1,
    AttackedRows,
    Entropy,
    GradientPenalty,
    HistoricalAverage,
    Penalty,
    PenaltyConfig,
    SpectralNorm,
)
from .pixel_lstm import DiagonalBiLSTM, RowLSTM
from .pixel_networks import GatedPixelNetwork, LSTMBlock, MaskedBlock, PixelSizes, ResidualPixelNetwork
from .posterior import CouplingFlow, DiagonalGaussian, InverseAutoregressive, Posterior, PosteriorFactory
from .proximal import Proximal
from .quantized_discriminator import QuantizationConfig, QuantizedDiscriminator
from .quantizer import Quantize, VectorQuantizer
from .raster_scan import RasterScan
from .sequence_lstm import SequenceLSTM
from .stationary_policy import StationaryCategorical, StationaryPolicy
from .stylegan2 import StyleGAN2Generator
from .transformer import Transformer, TransformerBlock, TransformerSizes
from .u_gat_it import AdaLIN, UGATITGenerator
from .unet import UNet

__all__ = [
    "FGSM",
    "MADE",
    "PGD",
    "R1",
    "ActNorm",
    "ActionScale",
    "AdaLIN",
    "AdditiveCoupling",
    "AffineCoupling",
    "Attack",
    "AttackedRows",
    "BayesianDense",
    "BayesianMLP",
    "BigGANGenerator",
    "BinnedDensity",
    "Bottleneck",
    "CouplingFlow",
    "CrossModalConfig",
    "CrossModalFeatures",
    "CrossModalTransformer",
    "DiagonalBiLSTM",
    "DiagonalGaussian",
    "EnsembleMLP",
    "Entropy",
    "Flow",
    "FlowDense",
    "GatedPixelNetwork",
    "GaussianDense",
    "GaussianNoise",
    "GradientPenalty",
    "HiddenDropout",
    "HistoricalAverage",
    "InputDropout",
    "InverseAutoregressive",
    "InverseAutoregressiveStep",
    "LSTMBlock",
    "MaskedAutoregressiveFlow",
    "MaskedBlock",
    "MaskedConv2d",
    "Maxout",
    "MinibatchDiscrimination",
    "MovingAverage",
    "MultiScaleFlow",
    "Normalizer",
    "Past",
    "Penalty",
    "PenaltyConfig",
    "PixelSizes",
    "Posterior",
    "PosteriorFactory",
    "Proximal",
    "QuantizationConfig",
    "Quantize",
    "QuantizedDiscriminator",
    "RasterScan",
    "ResidualPixelNetwork",
    "RowLSTM",
    "SequenceLSTM",
    "SpectralNorm",
    "StationaryCategorical",
    "StationaryPolicy",
    "StyleGAN2Generator",
    "Transformer",
    "TransformerBlock",
    "TransformerSizes",
    "UGATITGenerator",
    "UNet",
    "VectorQuantizer",
    "VirtualBatchNorm",
    "WeightNormLinear",
    "affine_couplings",
    "mlp",
]
