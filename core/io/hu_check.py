"""Whether values are a CT in HU: told by where air and soft tissue lie, not by the least value.

A least value tells little: padding lies below air, and resampling leaves a -5 beside what has no
offset at all.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io.hu_offset import add_offset, lacks_offset, refuse_offset_twice
from core.io.hu_values import FEWEST, Values, label_map, values_of
from core.io.remarks import remark

NARROWEST_HU = 100.0
"""Between the least and the largest value of a CT; noise alone spans nearly that."""
PADDING_HU, GAP_HU = -1500, 200


def require_hu(array: NDArray, path: Path) -> NDArray:
    """Values of a CT in HU.

    Args:
      array: (D, H, W) in C order; without its offset of -1024 it is changed in place.
      path: named in remarks and errors.

    Returns:
      The array itself, in HU.

    Raises:
      InputError: the values cannot be a CT in HU, or an offset is missing and it is not certain
        which.
    """
    if array.size < FEWEST:
        if array.min() >= 0:
            remark(path, "no value is below 0, so nothing is air: is an offset missing?")
        return array
    values = values_of(array)
    if reason := _narrow(values):
        raise InputError(f"no CT in HU: {reason}", path=path, hint="give the CT itself")
    inside = Values(_without_padding(values.sample))
    if not inside.sample.size:
        raise InputError("no CT in HU: all is padding", path=path, hint="give the CT itself")
    if lacks_offset(inside):
        return add_offset(array, inside, path)
    if values.share(-1100, -850) >= 1e-3:
        refuse_offset_twice(values, path)
    else:
        _judge_without_air(inside, path)
    if reason := _scaled(values):
        raise InputError(f"no CT in HU: {reason}", path=path, hint="give the CT itself")
    return array


def _narrow(values: Values) -> str:
    """Why no CT has values as few or as close to each other."""
    return label_map(np.unique(values.sample)) or _fractions(values)


def _fractions(values: Values) -> str:
    """Why no CT has fractions as close to each other as these."""
    low, high = float(values.sample.min()), float(values.sample.max())
    if high - low < NARROWEST_HU and (values.sample != np.rint(values.sample)).any():
        kind = "probabilities or normalised" if high <= 1 and low >= -1 else "normalised, or SUV"
        return f"its values run {values.limits}; they are {kind}"
    return ""


def _scaled(values: Values) -> str:
    """Why values are HU times a factor, or others beside a rim of air."""
    # Padding lies below air too, but it is one value, if with others around where it was resampled.
    below = np.rint(values.sample[values.sample < PADDING_HU])
    is_noise = below.size and np.unique(below, return_counts=True)[1].max() < 0.5 * below.size
    if is_noise and below.size >= 0.01 * values.sample.size and values.share(-200, 300) < 0.05:
        return f"values run {values.limits}, and hardly any is soft tissue: a factor?"
    above = values.sample[values.sample > -850]
    return _fractions(Values(above)) if above.size and above.size < values.sample.size else ""


def _judge_without_air(values: Values, path: Path) -> None:
    """Remark on, or refuse, a volume in which nothing lies at -1000."""
    zero, negative = values.share(-2.5, 2.5), values.share(-np.inf, -20)
    if negative < 1e-3 or (zero >= 0.1 and negative < 0.05):
        kind = "PET, MR, cut off below, or without an offset"
        kind = "the gray values of a picture" if values.share(-40, 300) == 1 else kind
        raise InputError(
            f"no CT in HU: neither air nor fat is below 0; values run {values.limits}: {kind}",
            path=path,
            hint="give the CT itself",
        )
    lowest = float(values.sample.min())
    if values.share(lowest, lowest + 0.5) >= 0.05:
        remark(path, f"HU below {lowest:.0f} were cut off: nothing is air")
    else:
        remark(path, "nothing is air: is it a part of the body, or no CT in HU?")


def _without_padding(sample: NDArray) -> NDArray:
    """Values without those that stand for no measurement: far below air, or apart from all."""
    inside = sample[sample >= PADDING_HU]
    if inside.size:
        above = inside[inside > inside.min()]
        if above.size and above.min() - inside.min() >= GAP_HU:
            return above
    return inside
