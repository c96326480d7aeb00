"""Demonstrated transitions in a replay buffer before the first step."""

import numpy as np
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlgen.data.transitions import Transitions
from rlgen.sb3.expert_rows import stored_actions
from rlgen.sb3.relabel_replay import plain_replay_buffer


def prefill(model: OffPolicyAlgorithm, rows: Transitions, transitions: int, reward: float) -> None:
    """Adds demonstrated `rows` with this reward, in order and repeated, until there are `transitions` or the buffer is
    half full; rounded down to a row of all environments."""
    buffer, shape = plain_replay_buffer(model), model.observation_space.shape or ()
    n = model.n_envs
    actions = stored_actions(rows.actions, model).cpu().numpy().reshape(len(rows), *(model.action_space.shape or (1,)))
    before, after = (
        each.cpu().numpy().reshape(len(rows), *shape) for each in (rows.observations, rows.next_observations)
    )
    terminated, truncated = rows.terminated.cpu().numpy(), rows.truncated.cpu().numpy()
    count = min(transitions // n, buffer.buffer_size // 2)
    for places in np.resize(np.arange(len(rows)), count * n).reshape(count, n):
        infos = [{"TimeLimit.truncated": bool(each)} for each in truncated[places]]
        done = terminated[places] | truncated[places]
        buffer.add(before[places], after[places], actions[places], np.full(n, reward, np.float32), done, infos)
