"""The errors that a user meets: printed as a single line, never as a traceback."""

from pathlib import Path


class InputError(Exception):
    """Input that cannot be used: says what is wrong, which file, and what to do.

    Args:
      message: what was found and what was expected.
      path: the file or folder it is about; stands at the front of the line.
      hint: what to do about it.
    """

    def __init__(self, message: str, *, path: str | Path | None = None, hint: str = "") -> None:
        # Libraries break their messages, and users their names, which stand in some of ours.
        self.message, self.path = " ".join(message.splitlines()), path
        self.hint = hint = " ".join(hint.splitlines())
        where = f"{path}: " if path is not None else ""
        super().__init__(f"{where}{self.message}" + (f"; {hint}" if hint else ""))


class RunError(Exception):
    """A run that began well and cannot go on, such as a loss that is no longer finite."""


class PreemptedError(Exception):
    """A run that was told to end before it was done, and has saved all that it needs to go on."""
