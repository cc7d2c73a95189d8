"""What people can mend about a batch."""


class BatchError(Exception):
    """Something about the input, the model or the output of a batch; the message says what to do."""
