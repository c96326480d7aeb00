from .airl import AIRL, AIRLConfig
from .archive_explorer import ArchiveConfig, ArchiveExplorer
from .bc import BC, BCConfig, BCResult
from .csil import CSIL, CSILConfig
from .curiosities import E3B, ICM, L2, LBS, RND, VIME, VIME2016, Counts, Disagreement, FirstVisits, PseudoCounts
from .curiosity import Curiosity
from .dagger import DAgger, DAggerConfig
from .explorer import Explorer
from .gail import GAIL, GAILConfig
from .hype import HyPE
from .infogail import InfoGAIL, InfoGAILConfig
from .learner import DevicePPO, FastPPO, LearnerConfig
from .lsiq import LSIQ, LSIQConfig
from .pwil import PWIL, PWILConfig
from .sqil import SQIL, SQILConfig

__all__ = [
    "AIRL",
    "BC",
    "CSIL",
    "E3B",
    "GAIL",
    "ICM",
    "L2",
    "LBS",
    "LSIQ",
    "PWIL",
    "RND",
    "SQIL",
    "VIME",
    "VIME2016",
    "AIRLConfig",
    "ArchiveConfig",
    "ArchiveExplorer",
    "BCConfig",
    "BCResult",
    "CSILConfig",
    "Counts",
    "Curiosity",
    "DAgger",
    "DAggerConfig",
    "DevicePPO",
    "Disagreement",
    "Explorer",
    "FastPPO",
    "FirstVisits",
    "GAILConfig",
    "HyPE",
    "InfoGAIL",
    "InfoGAILConfig",
    "LSIQConfig",
    "LearnerConfig",
    "PWILConfig",
    "PseudoCounts",
    "SQILConfig",
]
