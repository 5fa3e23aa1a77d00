"""Names of files and people: compared in one form, and written whatever their bytes are."""

import unicodedata


def normal(name: str) -> str:
    """A name in the form in which names are compared, with accents composed (NFC).

    A Mac takes "é" apart into two characters, Windows and Linux keep it as it was typed; a reader
    sees one name.
    """
    return unicodedata.normalize("NFC", name)


def escaped(text: str) -> str:
    r"""Text that UTF-8 can hold.

    A byte of a file name that is no UTF-8, such as one of an old Chinese Windows, is a lone
    surrogate in Python. It is written as \udcb1, which JSON gives back as it was.
    """
    return text.encode(errors="backslashreplace").decode()
