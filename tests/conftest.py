"""What holds for all tests."""

import os

from hypothesis import settings

from vaka.cpus import usable_cpus
from vaka.training.environment import THREADS_ENV, prepare_for_torch

# Before torch is first imported, for its libraries read this only then. Tests compare weights bit for bit, so
# that other work on the machine must not change the number of threads.
prepare_for_torch(os.environ)
os.environ.setdefault(THREADS_ENV, str(usable_cpus()))

# On a busy machine an example may take any time. CI judges a change, so it tries the same ones every time;
# everywhere else new examples are looked for.
settings.register_profile("vaka", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("vaka")
