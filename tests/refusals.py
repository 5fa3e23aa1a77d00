"""What a refusal tells its reader, whatever words it uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import InputError


@contextmanager
def refused(path: str | Path | None, *values: object, hint: str = "") -> Iterator[None]:
    """Expect an InputError about a file or folder.

    Args:
      path: that it names.
      values: that its message has.
      hint: word of what to do about it; "" where there is nothing to do.
    """
    with pytest.raises(InputError) as refusal:
        yield
    told = refusal.value.path, refusal.value.message, refusal.value.hint
    del refusal  # or its frames keep what the refused call had open
    assert told[0] == path
    assert [value for value in values if str(value) not in told[1]] == [], told[1]
    assert hint in told[2]
    assert bool(hint) == bool(told[2])
