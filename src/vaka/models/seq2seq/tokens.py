"""The subwords that every vocabulary has, by their numbers."""

PAD, UNKNOWN, START, END = range(4)
