"""Every format of the fuzz, and the ones that the suite has time for."""

from dataclasses import replace

from .demonstrations import DEMONSTRATIONS
from .images import IMAGE_FILES
from .models import MODELS
from .rewards import REWARDS
from .runs import RUNS
from .texts import TEXTS

SUBJECTS = (*DEMONSTRATIONS, *IMAGE_FILES, *MODELS, *REWARDS, *RUNS, *TEXTS)

BRIEF_WEIGHTS = {
    **{subject.name: 1.0 for subject in (*DEMONSTRATIONS, *IMAGE_FILES)},
    **{"sb3-ppo": 1.0, "sb3-td3": 0.5, "published": 0.3, "normaliser": 0.3, "vecnormalize": 0.5, "learned-reward": 0.5},
    **{"resume-gail": 0.4, "evaluate-gail": 0.3, "report-gail": 0.05, "resume-vae": 0.4, "evaluate-vae": 0.3},
}
"""Two trainings, of which the others differ in the agent alone; drawing and reporting are dear."""

BRIEF = tuple(
    replace(subject, weight=BRIEF_WEIGHTS[subject.name]) for subject in SUBJECTS if subject.name in BRIEF_WEIGHTS
)
