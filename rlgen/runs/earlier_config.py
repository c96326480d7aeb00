"""config.json of earlier versions in the words of this one."""

from collections.abc import Mapping
from typing import Any

AGENTS = {"ppo": "rl", "vime": "explore"}
"""Earlier agent → present one."""


def present_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `config` with the present names of agent and learner; what is up to date stays as it is.

    Before, `algo` stood beside `learner`, SAC's settings were in `sac`, and the agent `ppo` had no other algorithm.
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
