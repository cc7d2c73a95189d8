"""How loss and validation measures went, for the learning curves."""

import msgspec

POINTS = 512
"""So many losses are kept at most: enough for a curve, little enough for each checkpoint."""


class History(msgspec.Struct, rename="camel", kw_only=True):
    """The losses of all steps, thinned out evenly, and what each epoch achieved on the validation data.

    It depends on the steps alone, so a run that goes on from a checkpoint ends with the same.
    """

    stride: int = 1
    """Each loss is the mean over so many steps."""
    losses: list[float] = []
    validations: list[dict[str, float]] = []
    pending: float = 0.0
    """The sum over the `waiting` steps since the last of the losses."""
    waiting: int = 0

    def stepped(self, loss: float) -> None:
        """Note the loss of one more step."""
        self.pending += loss
        self.waiting += 1
        if self.waiting < self.stride:
            return
        self.losses.append(self.pending / self.stride)
        self.pending, self.waiting = 0.0, 0
        if len(self.losses) == POINTS:
            pairs = zip(self.losses[::2], self.losses[1::2], strict=True)
            self.losses = [(one + other) / 2 for one, other in pairs]
            self.stride *= 2

    def copy(self) -> "History":
        """One that does not change with this."""
        return msgspec.structs.replace(self, losses=list(self.losses), validations=list(self.validations))
