"""Conversion of config.json of earlier versions to this one."""

from collections.abc import Mapping
from typing import Any

AGENTS = {"ppo": "rl", "vime": "explore"}
"""Earlier agent → current agent."""


def present_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `config` with the current names of agent and learner; current settings are unchanged.

    Earlier versions had `algo` next to `learner`, SAC's settings in `sac`, and the agent `ppo` for PPO alone.
    """
    agent, algorithm = config.get("agent"), config.get("algo", "ppo" if config.get("agent") == "ppo" else None)
    found = {name: value for name, value in config.items() if name != "algo"}
    if isinstance(agent, str):
        found["agent"] = AGENTS.get(agent, agent)
    if algorithm == "sac":
        found["learner"] = found.pop("sac", {})
    learner = found.get("learner", {})
    if algorithm is not None and isinstance(learner, dict):
        found["learner"] = {**learner, "algorithm": algorithm}
    return found
