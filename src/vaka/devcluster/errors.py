"""The one exception that people see."""


class ClusterError(Exception):
    """Something a person can put right: the message says what is missing and what to do about it."""
