"""What has no gradient: distances to organs, labels back on the grid of a scan."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import ndimage

from benchmarks import harness
from benchmarks.suites import Item
from core.distance.edt import signed_to_labels
from core.preprocess.resample_back import label_on

IDS = tuple(range(1, 11))
SPACING_MM = (1.0, 0.68, 0.68)


class Routine(NamedTuple):
    """One routine at one shape.

    Args:
      title: what is measured, with its shapes.
      name: that its peers know it by.
      make: its arguments, made when they are wanted.
      prepare: from the arguments, what runs once.
      equal: whether two results agree; None where they are drawn.
      peers: that may know it, and the groups in which it stands beside each.
    """

    title: str
    name: str
    make: Callable[[], tuple[Any, ...]]
    prepare: Callable[..., harness.Run]
    equal: Callable[[Any, Any], bool] | None
    peers: Mapping[str, tuple[str, ...]]


def _signed_distances(label: np.ndarray, ids: tuple[int, ...], spacing_mm: Any) -> harness.Run:
    array = jax.numpy.asarray(label)
    run = harness.compile_step(lambda label: signed_to_labels(label, ids, spacing_mm), array)
    return lambda: run(array)


def _organs(shape: tuple[int, int, int]) -> np.ndarray:
    """Ten ellipsoids, with axes of a tenth to a third of the volume."""
    rng, label = np.random.default_rng(0), np.zeros(shape, np.uint8)
    sizes = np.array(shape)[:, None, None, None]
    for id_ in IDS:
        center, radius = (rng.uniform(*share, (3, 1, 1, 1)) for share in ((0.2, 0.8), (0.05, 0.18)))
        inside = (((np.indices(shape) / sizes - center) / radius) ** 2).sum(axis=0) < 1
        label[inside] = id_
    return label


def _logits(shape: tuple[int, int, int], num_classes: int, *, smooth: float) -> np.ndarray:
    rng, logits = np.random.default_rng(0), np.empty((*shape, num_classes), np.float32)
    for id_ in range(num_classes):
        values = rng.standard_normal(shape, np.float32)
        logits[..., id_] = ndimage.gaussian_filter(values, smooth) if smooth else values
    return logits


def _nearly_all(ours: np.ndarray, peer: np.ndarray) -> bool:
    """All but one voxel in 10,000, where two classes differ by less than a peer's rounding."""
    return bool(np.count_nonzero(ours != peer) <= 1e-4 * ours.size)


ROUTINES = [
    Routine(
        "signed distances to 10 labels of 80 × 192 × 160",
        "signed_distances",
        lambda: (_organs((80, 192, 160)), IDS, SPACING_MM),
        _signed_distances,
        # Squares of mm in float32 on both sides.
        lambda ours, peer: harness.agree(ours, peer, within=1e-6),
        {"scipy": ("cpu",), "edt": ("cpu",)},
    ),
    Routine(
        "resample back 11 classes 200 × 192 × 192 → 300 × 512 × 512",
        "labels_back",
        lambda: (_logits((200, 192, 192), 11, smooth=6.0), (300, 512, 512)),
        lambda *args: partial(label_on, *args),
        _nearly_all,
        {"torch": ("cpu",), "scipy": ()},
    ),
    Routine(
        "resample back 11 classes of noise 100 × 96 × 96 → 150 × 256 × 256",
        "labels_back",
        lambda: (_logits((100, 96, 96), 11, smooth=0.0), (150, 256, 256)),
        lambda *args: partial(label_on, *args),
        _nearly_all,
        {"torch": ("cpu",), "scipy": ("cpu",)},
    ),
]
"""Ten organs at the shape of LNMet's patch; nnU-Net's export of a scan, which takes scipy minutes,
and of noise, where no neighbors agree."""


def items(routines: Sequence[Routine], file: str) -> list[Item]:
    """An item for each routine and each peer that may know it."""
    return [
        Item(f"{routine.title}, {peer}", file, partial(measure, routine, peer), groups)
        for routine in routines
        for peer, groups in routine.peers.items()
    ]


def measure(routine: Routine, peer: str, repeats: int) -> list[harness.Row]:
    """A row beside the peer, of ours alone where it is not there."""
    module, args = harness.peer_module(f"{peer}_kernels"), routine.make()
    return [
        harness.compare(
            f"{routine.title}, {peer}" if module else routine.title,
            routine.prepare(*args),
            module and module.routine(routine.name, *args),
            peer_name=module.NAME if module else "",
            equal=routine.equal,
            repeats=repeats,
        )
    ]
