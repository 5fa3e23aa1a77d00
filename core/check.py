"""Argument checks with one message form: what was expected, what came, what to do."""

from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints


def rank(name: str, array: Any, expected: int | Sequence[int]) -> None:
    """Refuse an array whose number of axes is not among `expected`."""
    allowed = (expected,) if isinstance(expected, int) else tuple(expected)
    if array.ndim not in allowed:
        wanted = " or ".join(str(r) for r in allowed)
        raise ValueError(f"{name} must have {wanted} axes; got shape {tuple(array.shape)}")


def same_shape(**arrays: Any) -> None:
    """Refuse arrays of different shapes, naming each of them."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"expected equal shapes; got {listed}")


def divisible(name: str, shape: Sequence[int], factor: int, reason: str) -> None:
    """Refuse a shape with an axis that `factor` does not divide; offer the next that fits."""
    if any(size % factor for size in shape):
        fit = tuple(-(-size // factor) * factor for size in shape)
        raise ValueError(
            f"{name}={tuple(shape)} must be divisible by {factor} ({reason}); try {fit}"
        )


def positive(name: str, value: float) -> None:
    """Refuse a number that is zero or negative."""
    if not value > 0:
        raise ValueError(f"{name} must be positive; got {value}")


def at_least(name: str, value: float, least: float) -> None:
    """Refuse a number below a bound."""
    if not value >= least:
        bound = "not be negative" if least == 0 else f"be at least {least}"
        raise ValueError(f"{name} must {bound}; got {value}")


def fraction(name: str, value: float) -> None:
    """Refuse a number outside [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1]; got {value}")


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is not among `allowed`, and list them."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}; got {value!r}")


def literals(config: Any) -> None:
    """Refuse a dataclass with a field whose value is not among those of its `Literal`."""
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal:
            one_of(name, getattr(config, name), get_args(hint))
