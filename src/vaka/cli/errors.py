"""The errors of the command line that are the user's to mend."""


class UserError(Exception):
    """Something given on the command line is wrong; the message says what and what is allowed."""
