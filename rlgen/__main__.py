"""`python -m rlgen`: the command line."""

import sys

from rlgen.agents.cli import main

sys.exit(main())
