"""One whole case and a peer, a file per system in `benchmarks/cases`."""

from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.harness import Row
from benchmarks.suites import Item

NUM_SLICES = 154
"""Of both series of FEE-DL's patient: 308, about as many as the paper's have."""


def items() -> list[Item]:
    """A case of each system; the patient of 308 slices takes two cores ten minutes."""
    return [
        _item("s4c", ("cpu",), "coarse pass pdac-64 over 112 × 101 × 122", shape=(112, 101, 122)),
        _item("s4c", ("gpu",), "coarse pass pdac-64 over 120 × 512 × 512", shape=(120, 512, 512)),
        _item("nnunet", ("cpu",), "11 classes, windows of 64³, over 112 × 101 × 122"),
        _item("fee", (), "308 slices 512², DICOM to diagnosis", num_slices=NUM_SLICES, size=512),
    ]


def _item(system: str, groups: tuple[str, ...], title: str, **sizes: Any) -> Item:
    title = f"{system} {title}"
    measure = partial(_measure, system, title, sizes)
    return Item(title, f"case-{system}", measure, groups)


def _measure(system: str, title: str, sizes: dict[str, Any], repeats: int) -> Iterable[Row]:
    module = import_module(f"benchmarks.cases.{system}")
    return module.measure(title, repeats=repeats, **sizes)
