"""Distances and resampling by scipy."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from scipy import ndimage

NAME = f"scipy {scipy.__version__}"


def routine(name: str, *args: object) -> Callable[[], np.ndarray] | None:
    """What runs a routine of ours once; None for others."""
    function = {"signed_distances": _signed_distances, "labels_back": _labels_back}.get(name)
    return function and (lambda: function(*args))  # type: ignore[arg-type]


def _signed_distances(
    label: np.ndarray, ids: Sequence[int], spacing_mm: Sequence[float]
) -> np.ndarray:
    def signed(mask: np.ndarray) -> np.ndarray:
        outside, inside = (
            np.asarray(ndimage.distance_transform_edt(side, sampling=spacing_mm))
            for side in (~mask, mask)
        )
        return (outside - inside).astype(np.float32)

    return np.stack([signed(label == id_) for id_ in ids])


def _labels_back(logits: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Class by class into one array of all, then the highest: what nnU-Net exports with."""
    factors = [new / old for new, old in zip(shape, logits.shape, strict=False)]
    classes = np.empty((logits.shape[-1], *shape), np.float32)
    for id_, values in enumerate(classes):
        ndimage.zoom(
            logits[..., id_], factors, output=values, order=1, mode="nearest", grid_mode=True
        )
    return classes.argmax(axis=0).astype(np.uint8)
