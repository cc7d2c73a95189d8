"""The model folder: manifest, digests, publishing and verified reading."""
