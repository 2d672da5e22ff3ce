"""What a command found wrong."""


class FindingError(Exception):
    """The command ran and found something wrong: a line on stderr for each. The exit code is 1."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
