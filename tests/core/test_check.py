from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from core import check


@dataclass(frozen=True)
class Options:
    mode: Literal["a", "b"] = "a"
    sides: Literal[1, 2] = 1
    name: str = "c"


def test_what_is_expected_passes():
    check.rank("image", np.zeros((2, 3)), 2)
    check.rank("image", np.zeros((2, 3)), (2, 3))
    check.same_shape(image=np.zeros((2, 3)), label=np.zeros((2, 3)))
    check.divisible("patch", (16, 32), 16, "4 stages")
    check.positive("spacing", 0.1)
    check.at_least("margin", 0, 0)
    check.fraction("overlap", 0)
    check.fraction("overlap", 1)
    check.one_of("mode", "a", ["a", "b"])
    check.literals(Options("b", 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: check.rank("image", np.zeros((2, 3)), 3),
            r"image must have 3 axes; got .*\(2, 3\)",
        ),
        (lambda: check.rank("image", np.zeros(2), (2, 3)), "image must have 2 or 3 axes"),
        (
            lambda: check.same_shape(image=np.zeros((2, 3)), label=np.zeros((3, 2))),
            r"expected equal shapes; got image \(2, 3\), label \(3, 2\)",
        ),
        (
            lambda: check.divisible("patch", (30, 32), 8, "4 stages"),
            r"patch=\(30, 32\) must be divisible by 8 \(4 stages\); try \(32, 32\)",
        ),
        (lambda: check.positive("spacing", 0), "spacing must be positive; got 0"),
        (lambda: check.positive("spacing", float("nan")), "spacing must be positive; got nan"),
        (lambda: check.at_least("margin", -1, 0), "margin must not be negative; got -1"),
        (lambda: check.at_least("margin", float("nan"), 0), "margin must not be negative"),
        (lambda: check.at_least("folds", 1, 2), "folds must be at least 2; got 1"),
        (lambda: check.fraction("overlap", 1.1), r"overlap must lie in \[0, 1\]; got 1.1"),
        (
            lambda: check.one_of("mode", "c", ["a", "b"]),
            r"mode must be one of \['a', 'b'\]; got 'c'",
        ),
        (lambda: check.literals(Options("c")), r"mode must be one of \['a', 'b'\]; got 'c'"),  # type: ignore[arg-type]
        (lambda: check.literals(Options(sides=3)), r"sides must be one of \[1, 2\]; got 3"),  # type: ignore[arg-type]
    ],
)
def test_what_is_not_expected_is_told_with_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()
