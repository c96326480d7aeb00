"""`rlgen evaluate`: the returns of a trained policy, or the metrics of a trained image model or language model."""

from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

from rlgen.deprecation import renamed_fields
from rlgen.errors import InputError, problem

from .evaluation import Evaluation, ImageEvaluation, InstructionEvaluation, PolicyEvaluation, TextEvaluation
from .output import refuse_existing

KINDS: tuple[type[Evaluation], ...] = (PolicyEvaluation, ImageEvaluation, TextEvaluation, InstructionEvaluation)


@renamed_fields(normaliser="normalizer")
@dataclass(frozen=True, kw_only=True)
class Evaluate(InstructionEvaluation, TextEvaluation, ImageEvaluation, PolicyEvaluation):
    """Play a policy for complete episodes and report its returns, or measure the image model or language model of a
    finished run. No demonstrations are needed, and nothing is written without --out.

    The policy is that of a run folder, or of any Stable-Baselines3 .zip with --env. Only its weights and plain JSON are
    read: unlike with `PPO.load`, nothing in the file can run code, so a downloaded model is safe to play.
    """

    out: Path | None = None
    """File (.json) for the numbers, with the return and length of every episode; by default none is written."""
    overwrite: bool = False
    """Permission to replace that file if it exists."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.out is not None and self.out.suffix != ".json":
            raise problem("a .json file", str(self.out), "e.g. --out evaluation.json")

    def run(self) -> int:
        from rlgen.runs.config import write_json
        from rlgen.system.files import make_parent

        if self.out is not None:
            refuse_existing(self.out, self.overwrite)
        kind = self.kind()
        self._require_own(kind)
        numbers = kind(**{each.name: getattr(self, each.name) for each in fields(kind)}).evaluate()
        if self.out is not None:
            make_parent(self.out)
            write_json(self.out, numbers)
        return 0

    def kind(self) -> type[Evaluation]:
        """The evaluation of the run's settings; that of a policy for a .zip, and for a run of another program."""
        from rlgen.runs.folder import RunFolder

        from .table import settings_of_agent

        if not self.policy.exists():
            raise problem("a run folder or a .zip", f"{self.policy}, where nothing is", "check the path")
        if not self.policy.is_dir():
            return PolicyEvaluation
        folder = RunFolder.open(self.policy)
        try:
            return settings_of_agent(folder.config.get("agent"), folder.path).evaluation
        except InputError:
            return PolicyEvaluation

    def _require_own(self, kind: type[Evaluation]) -> None:
        """Raise `InputError` for options of another kind of evaluation."""
        own = {each.name for each in fields(kind)} | {"out", "overwrite"}
        foreign = [each for each in fields(self) if each.name not in own]
        given = [f"--{each.name.replace('_', '-')}" for each in foreign if getattr(self, each.name) != _left_out(each)]
        if given:
            wanted = {each.name for each in foreign if getattr(self, each.name) != _left_out(each)}
            others = [each.subject_name for each in KINDS if wanted & {known.name for known in fields(each)}]
            got = f"{kind.subject_name} in {self.policy}"
            raise problem(f"{', '.join(given)} for {' or '.join(others)}", got, "leave it out")


def _left_out(option: Field[Any]) -> Any:
    """The default of an option."""
    return option.default if option.default_factory is MISSING else option.default_factory()
