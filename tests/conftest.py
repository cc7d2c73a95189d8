"""What holds for all tests."""

import os

from hypothesis import settings

from vaka.training.environment import prepare_for_torch

# Before torch is first imported, for its libraries read this only then.
prepare_for_torch(os.environ)

# On a busy machine an example may take any time. CI judges a change, so it tries the same ones every time;
# everywhere else new examples are looked for.
settings.register_profile("vaka", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("vaka")
