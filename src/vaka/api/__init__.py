"""The two custom resources as types, and what operator, trainer and server agree on."""
