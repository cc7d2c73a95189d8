"""What holds for all tests."""

import os

from hypothesis import settings

from vaka.training.environment import prepare_for_torch

# Before torch is first imported, for its libraries read this only then.
prepare_for_torch(os.environ)

# On a busy machine an example may take any time.
settings.register_profile("vaka", deadline=None, max_examples=50)
settings.load_profile("vaka")
