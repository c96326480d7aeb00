"""Demonstrated transitions in a replay buffer before the first step."""

from typing import Any

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlgen.data import observations as tree
from rlgen.data.transitions import Transitions
from rlgen.sb3.expert_rows import stored_actions
from rlgen.sb3.policy_inputs import PolicyInputs
from rlgen.sb3.relabel_replay import plain_replay_buffer


def prefill(model: OffPolicyAlgorithm, rows: Transitions[Any], transitions: int, reward: float) -> None:
    """Adds demonstrated `rows` with this reward, in order and repeated, until there are `transitions` or the buffer is
    half full; rounded down to a row of all environments."""
    buffer, inputs, n = plain_replay_buffer(model), PolicyInputs(model), model.n_envs
    actions = stored_actions(rows.actions, model).cpu().numpy().reshape(len(rows), *(model.action_space.shape or (1,)))
    before, after = (
        tree.each_entry(lambda each: each.cpu().numpy(), inputs.shaped(seen))
        for seen in (rows.observations, rows.next_observations)
    )
    terminated, truncated = rows.terminated.cpu().numpy(), rows.truncated.cpu().numpy()
    count = min(transitions // n, buffer.buffer_size // 2)
    for places in np.resize(np.arange(len(rows)), count * n).reshape(count, n):
        infos = [{"TimeLimit.truncated": bool(each)} for each in truncated[places]]
        done = terminated[places] | truncated[places]
        seen = tree.take(before, places), tree.take(after, places)
        buffer.add(*seen, actions[places], np.full(n, reward, np.float32), done, infos)
