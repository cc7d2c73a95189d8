"""Training: `python -m vaka.training` runs what the environment variable VAKA_RUN describes."""
