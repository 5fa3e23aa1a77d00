"""What has no gradient: distances to organs, labels back on the grid of a scan, augmentation."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import ndimage

from benchmarks import harness
from core.augment.config import VolumeAugmentConfig
from core.augment.loading import loading_shape
from core.augment.nnunet import nnunet
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
    """

    title: str
    name: str
    make: Callable[[], tuple[Any, ...]]
    prepare: Callable[..., harness.Run]
    equal: Callable[[Any, Any], bool] | None


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


def _loaded(patch: tuple[int, int, int], num_batches: int) -> tuple[Any, ...]:
    """Shape of the patch, the number of batches of 2, and a loaded image, label and gate."""
    cfg, rng = VolumeAugmentConfig(), np.random.default_rng(0)
    shape = loading_shape(patch, cfg.degrees, cfg.loading_scales)
    image = rng.standard_normal((*shape, 2), np.float32)
    return patch, num_batches, image, (image[..., 0] > 1).astype(np.uint8), rng.random(shape, "f4")


def _augmentation(patch: tuple[int, int, int], num_batches: int, *loaded: Any) -> harness.Run:
    """Drawn anew for every batch: the peer is fast at patches for which it draws little."""
    arrays = [jax.numpy.stack([array, array]) for array in loaded]

    def augment(number: jax.Array, *arrays: jax.Array) -> Any:
        keys = jax.random.split(jax.random.key(number))
        return jax.vmap(partial(nnunet, patch=patch, cfg=VolumeAugmentConfig()))(keys, *arrays)

    batch = harness.compile_step(augment, 0, *arrays)
    return lambda: [batch(number, *arrays) for number in range(num_batches)]


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
        lambda ours, peer: harness.agree(ours, peer, tolerance=1e-6),
    ),
    Routine(
        "resample back 11 classes 200 × 192 × 192 → 300 × 512 × 512",
        "labels_back",
        lambda: (_logits((200, 192, 192), 11, smooth=6.0), (300, 512, 512)),
        lambda *args: partial(label_on, *args),
        _nearly_all,
    ),
    Routine(
        "resample back 11 classes of noise 100 × 96 × 96 → 150 × 256 × 256",
        "labels_back",
        lambda: (_logits((100, 96, 96), 11, smooth=0.0), (150, 256, 256)),
        lambda *args: partial(label_on, *args),
        _nearly_all,
    ),
    Routine(
        "augment 10 batches of 2 × 48³ × 2",
        "augmentation",
        lambda: _loaded((48, 48, 48), 10),
        _augmentation,
        None,
    ),
]
"""Ten organs at the shape of LNMet's patch; nnU-Net's export of a scan, and of noise, where no
neighbors agree; nnU-Net's augmentation of two phases with a label and an attention map."""


def measure(routine: Routine, peers: dict[str, Any], repeats: int) -> list[harness.Row]:
    """A row beside each peer that knows the routine; one of ours alone where no peer is asked."""
    args = routine.make()
    ours = routine.prepare(*args)
    if not peers:
        return [harness.compare(routine.title, ours, repeats=repeats)]
    runs = {key: peer.routine(routine.name, *args) for key, peer in peers.items()}
    return [
        _row(f"{routine.title}, {key}", routine.equal, ours, run, peers[key].NAME, repeats)
        for key, run in runs.items()
        if run is not None
    ]


def _row(
    title: str,
    equal: Callable[[Any, Any], bool] | None,
    ours: harness.Run,
    peer: harness.Run,
    peer_name: str,
    repeats: int,
) -> harness.Row:
    return harness.compare(
        title,
        ours,
        peer,
        peer_name=peer_name,
        equal=equal and (lambda: equal(ours(), peer())),
        repeats=repeats,
    )
