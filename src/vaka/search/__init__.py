"""Hyper-parameter search: given the trials as they are, which come next and which need not go on.

Nothing is remembered here: what to do follows from the specification and the trials alone.
"""
