"""Instances of a mask, such as lymph nodes: components, overlaps, and which finds which.

A map of instances has an id of its own for each, in any numbers, and 0 elsewhere: of `instances`,
or as annotated.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core import check
from core.postprocess.components import components


class Overlaps(NamedTuple):
    """How far each of n predicted instances covers each of m true ones.

    Args:
      pred_ids: (n,) rising.
      true_ids: (m,) rising.
      pred_voxels: (n,) sizes.
      true_voxels: (m,) sizes.
      iou: (n, m) intersections over unions.
    """

    pred_ids: NDArray[np.int64]
    true_ids: NDArray[np.int64]
    pred_voxels: NDArray[np.int64]
    true_voxels: NDArray[np.int64]
    iou: NDArray[np.float64]


def instances(mask: NDArray[np.bool_], *, min_voxels: int) -> NDArray[np.int32]:
    """Number the connected components of a mask, without those that are too small.

    Args:
      mask: (d, h, w).
      min_voxels: of a component that counts; 1 keeps all.

    Returns:
      Ids 1, 2, … in the order of their first voxels, 0 elsewhere.

    Raises:
      ValueError: the mask is not boolean (d, h, w).

    Source: 26 neighbors: nodes are compact, and thin bridges do not split them.
    """
    check.rank("mask", mask, 3)
    check.one_of("mask.dtype", mask.dtype, (np.dtype(bool),))
    ids, sizes = components(mask, neighbors=26)
    large = np.append(False, sizes >= min_voxels)
    return np.where(large, np.cumsum(large), 0).astype(np.int32)[ids]


def overlaps(pred_ids: NDArray[np.integer], true_ids: NDArray[np.integer]) -> Overlaps:
    """Sizes of the instances of two maps and the IoU of every pair.

    Args:
      pred_ids: predicted instances, any shape.
      true_ids: true ones, same shape.

    Raises:
      ValueError: the shapes differ.
    """
    check.same_shape(pred_ids=pred_ids, true_ids=true_ids)
    (pred, pred_voxels), (true, true_voxels) = _sizes(pred_ids), _sizes(true_ids)
    both = (pred_ids > 0) & (true_ids > 0)
    pairs = np.searchsorted(pred, pred_ids[both]) * true.size
    pairs += np.searchsorted(true, true_ids[both])
    common = np.bincount(pairs, minlength=pred.size * true.size).reshape(pred.size, true.size)
    iou = common / np.maximum(pred_voxels[:, None] + true_voxels[None] - common, 1)
    return Overlaps(pred, true, pred_voxels, true_voxels, iou)


def match(iou: NDArray[np.float64], *, min_iou: float) -> NDArray[np.int64]:
    """Pair predicted with true instances, each at most once: the highest IoU first.

    Of equal ones the lower prediction, then the lower truth, goes first. A prediction over two
    nodes finds one of them at most, and of two that cover one node one is false.

    Args:
      iou: (n, m).
      min_iou: of a pair, above 0.

    Returns:
      (n,) number of the true instance that a prediction finds, −1 for none.

    Raises:
      ValueError: a `min_iou` outside (0, 1].
    """
    check.positive("min_iou", min_iou)
    check.fraction("min_iou", min_iou)
    matched, is_found = np.full(iou.shape[0], -1), np.zeros(iou.shape[1], bool)
    pred, true = np.nonzero(iou >= min_iou)
    for pair in np.argsort(-iou[pred, true], kind="stable"):
        if matched[pred[pair]] < 0 and not is_found[true[pair]]:
            matched[pred[pair]], is_found[true[pair]] = true[pair], True
    return matched


def scores(
    ids: NDArray[np.integer], probs: NDArray[np.floating], *, by: Literal["mean", "max"]
) -> NDArray[np.float64]:
    """Mean or highest probability in each instance, (n,) by rising id.

    Raises:
      ValueError: the shapes differ, or `by` is something else.
    """
    check.same_shape(ids=ids, probs=probs)
    check.one_of("by", by, ("mean", "max"))
    summary = ndimage.mean if by == "mean" else ndimage.maximum
    present = _sizes(ids)[0]
    return np.asarray(summary(probs, ids, present), np.float64).reshape(present.shape)


def majority(ids: NDArray[np.integer], label: NDArray[np.integer]) -> list[int]:
    """Label that most voxels of each instance have, by rising id; the lower of equals.

    Raises:
      ValueError: the shapes differ.
    """
    check.same_shape(ids=ids, label=label)
    inside = ids > 0
    present, instance = np.unique(ids[inside], return_inverse=True)
    kinds, kind = np.unique(label[inside], return_inverse=True)
    counts = np.zeros((present.size, kinds.size), np.int64)
    np.add.at(counts, (instance, kind), 1)
    return [int(kinds[row.argmax()]) for row in counts]


def instance_rows(
    found: Overlaps,
    spacing_mm: Sequence[float],
    *,
    min_iou: float,
    pred_labels: Sequence[int] | None = None,
    true_labels: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """A row per instance, predicted ones first.

    Args:
      found: of `overlaps`.
      spacing_mm: of the voxels by axis.
      min_iou: as for `match`.
      pred_labels: (n,) classes, such as of `majority`; None, nobody knows.
      true_labels: (m,) likewise.

    Returns:
      `side` "pred" or "true", `id`, `volume_mm3`, `matched_id` of the other side or None, `iou`
      with that (with none, the highest with any), and `label` or None.
    """
    pred_match = match(found.iou, min_iou=min_iou)
    true_match = np.full(found.true_ids.size, -1)
    true_match[pred_match[pred_match >= 0]] = np.flatnonzero(pred_match >= 0)
    voxel_mm3 = float(np.prod(spacing_mm))
    sides = [
        ("pred", found.pred_ids, found.pred_voxels, found.iou, pred_match, pred_labels),
        ("true", found.true_ids, found.true_voxels, found.iou.T, true_match, true_labels),
    ]
    return [
        {
            "side": side,
            "id": int(ids[i]),
            "volume_mm3": float(voxels[i] * voxel_mm3),
            "matched_id": int(others[matched[i]]) if matched[i] >= 0 else None,
            "iou": float(iou[i, matched[i]] if matched[i] >= 0 else iou[i].max(initial=0)),
            "label": None if labels is None else int(labels[i]),
        }
        for (side, ids, voxels, iou, matched, labels), others in zip(
            sides, (found.true_ids, found.pred_ids), strict=True
        )
        for i in range(ids.size)
    ]


def _sizes(ids: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    present, voxels = np.unique(ids[ids > 0], return_counts=True)
    return present.astype(np.int64), voxels
