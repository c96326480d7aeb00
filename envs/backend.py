"""The names of what can step environments; apart from `make_vec`, so that a command line knows them without MuJoCo."""

from typing import Literal

Backend = Literal["auto", "threads", "numpy", "gymnasium", "warp"]
