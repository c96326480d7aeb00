"""Every public name of every package can be imported from it."""

import importlib

import pytest

PACKAGES = ["agents", "data", "envs", "generators", "nn", "rewards", "runs", "sb3"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    facade = importlib.import_module(f"rlgen.{package}")
    missing = []
    for name in facade.__all__:
        try:
            getattr(facade, name)
        except (AttributeError, ImportError) as error:
            missing.append(f"{name}: {error}")
    assert facade.__all__
    assert missing == []
