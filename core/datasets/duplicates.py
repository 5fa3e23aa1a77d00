"""Near-duplicate images, so that a split never has them on both sides.

A difference hash keeps, of a small version of an image, the sign of the step from each pixel to its
right neighbor. It does not change with brightness, contrast, size or compression.

Source: N. Krawetz, "Kind of like that", 2013 (the hash); the distance is that of Hamming.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.datasets.case import ImageDataset
from core.errors import InputError
from core.io.images import read_frames, source_of

HASH_SIZE = 16
# Copies that were cropped, scaled or annotated anew differ in less than this share of the bits in
# which unrelated images differ; pictures of neighboring places differ in more.
MAX_SHARE = 0.44


def difference_hash(
    gray: UInt8[np.ndarray, "h w"], *, size: int = HASH_SIZE
) -> Bool[np.ndarray, " b"]:
    """Signs of the horizontal steps of an image shrunk to `size` rows.

    Args:
      gray: brightness.
      size: rows, and steps per row.

    Returns:
      size² bits: whether a pixel is darker than its right neighbor.
    """
    small = Image.fromarray(gray).resize((size + 1, size), Image.Resampling.BOX)
    values = np.asarray(small, np.int16)
    return (values[:, 1:] > values[:, :-1]).ravel()


def expected_distance(hashes: Bool[np.ndarray, "n b"]) -> float:
    """Number of bits in which two unrelated images of a set differ: Σ 2 p (1 − p).

    p is how often a bit is set, by the rule of succession (k + 1) / (n + 2). So what all images
    share, such as the fan of one machine on black, tells nothing about a pair.
    """
    often = (hashes.sum(axis=0) + 1) / (len(hashes) + 2)
    return float(np.sum(2 * often * (1 - often)))


def near_pairs(hashes: Bool[np.ndarray, "n b"], *, max_share: float) -> list[tuple[int, int]]:
    """Pairs (i < j) of hashes that differ in at most `max_share` of the expected distance."""
    signs = hashes.astype(np.float32) * 2 - 1
    limit = max_share * expected_distance(hashes)
    pairs = []
    for i, row in enumerate(signs):
        # Equal bits less different ones is the number of bits less twice the distance.
        distance = (signs.shape[1] - signs[i + 1 :] @ row) / 2
        pairs += [(i, i + 1 + int(j)) for j in np.flatnonzero(distance <= limit)]
    return pairs


def keep_duplicates_together(
    dataset: ImageDataset, *, max_share: float = MAX_SHARE
) -> ImageDataset:
    """Make one patient of all patients who share a near-duplicate image, also over several steps.

    Args:
      dataset: images, whose patients may be known or not.
      max_share: of the bits in which unrelated images of the set differ, near-duplicates differ
        in no more than this.

    Returns:
      The same images; the patient of each is the first, in the order of the images, of those that
      belong together. An image that cannot be read is like no other: whoever needs it says why.
    """
    with ThreadPoolExecutor() as pool:
        hash_of_case = list(pool.map(_hash, (case.image for case in dataset.cases)))
    readable = [i for i, bits in enumerate(hash_of_case) if bits is not None]
    hashes = np.array([hash_of_case[i] for i in readable], bool).reshape(
        len(readable), HASH_SIZE**2
    )
    links = [(readable[i], readable[j]) for i, j in near_pairs(hashes, max_share=max_share)]
    first: dict[str, int] = {}
    links += [(first.setdefault(c.patient, i), i) for i, c in enumerate(dataset.cases)]
    groups = _connected(links, len(dataset.cases))
    names: dict[int, str] = {}
    for group, case in zip(groups, dataset.cases, strict=True):
        names.setdefault(group, case.patient)
    cases = (replace(c, patient=names[g]) for g, c in zip(groups, dataset.cases, strict=True))
    return replace(dataset, cases=tuple(cases))


def _hash(path: Path) -> Bool[np.ndarray, " b"] | None:
    try:
        return difference_hash(next(read_frames(source_of(path))).gray())
    except InputError:
        return None


def _connected(links: Sequence[tuple[int, int]], num: int) -> list[int]:
    """Number of the group of each of `num` members."""
    rows, columns = np.array(links).T
    graph = coo_array((np.ones(len(links), bool), (rows, columns)), shape=(num, num))
    return connected_components(graph, directed=False)[1].tolist()
