"""What happens between two rounds, and when."""

import math

import pytest

from rlgen.agents.rounds import Every, Rounds, Stopped


@pytest.mark.parametrize("start", [0, 64, 128, 192])
def test_every_counts_in_multiples_wherever_it_starts(start: int) -> None:
    every = Every.from_step(100, start)
    assert [now for now in range(start, 512, 64) if every.due(now)] == [
        now for now in (128, 256, 320, 448) if now > start
    ]


def test_an_interval_of_infinity_never_comes() -> None:
    assert not Every.from_step(math.inf, 0).due(10**12)


class Log(list):
    """Rounds that log what they do; a stop is asked for at step `stop_at`."""

    def run(self, point_ppo, save_every: float, evaluate_every: float, stop_at: float = math.inf):
        model = point_ppo()
        self.rounds = Rounds(
            lambda: self.append(("save", model.num_timesteps)),
            lambda: self.append(("evaluate", model.num_timesteps)),
            lambda: self.append(("show", model.num_timesteps)),
            lambda: model.num_timesteps >= stop_at,
            save_every,
            evaluate_every,
        )
        model.learn(320, self.rounds)
        return self

    def of(self, what: str) -> list[int]:
        return [step for name, step in self if name == what]


def test_saving_and_evaluation_come_in_their_intervals(point_ppo) -> None:
    log = Log().run(point_ppo, save_every=128, evaluate_every=100)
    assert log.of("save") == [128, 256]
    assert log.of("evaluate") == [128, 256]
    assert log.of("show") == [64, 128, 192, 256, 320]


def test_saving_every_zero_steps_is_after_every_round_and_evaluating_is_never(point_ppo) -> None:
    log = Log().run(point_ppo, save_every=0, evaluate_every=0)
    assert log.of("save") == [64, 128, 192, 256]
    assert log.of("evaluate") == []


def test_an_evaluation_comes_before_the_checkpoint_that_remembers_it(point_ppo) -> None:
    log = Log().run(point_ppo, save_every=128, evaluate_every=128)
    assert [line for line in log if line[1] == 128 and line[0] != "show"] == [("evaluate", 128), ("save", 128)]


def test_a_stop_saves_first_and_loses_no_evaluation(point_ppo) -> None:
    log = Log()
    with pytest.raises(Stopped):
        log.run(point_ppo, save_every=1e9, evaluate_every=128, stop_at=128)
    assert log[-2:] == [("evaluate", 128), ("save", 128)]
