"""What a command found wrong."""


class FindingError(Exception):
    """The command ran and found something wrong. The text is the line on stderr; the exit code is 1."""
