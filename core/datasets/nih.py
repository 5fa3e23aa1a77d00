"""NIH Pancreas-CT as TCIA gives it out: a DICOM series per patient, and labels apart from them.

    …/PANCREAS_0001/<study>/<series>/1-001.dcm
    …/label0001.nii.gz

The labels have another order and direction of axes than the images, and no position. So they are
matched as arrays: of all flips that fit, the one in which the mask stands out from its surrounding.

Source: Roth et al., Data From Pancreas-CT, The Cancer Imaging Archive 2016.
"""

import re
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.errors import InputError
from core.io import nifti
from core.io.inventory import find_scans
from core.io.paths import Skipped
from core.io.scans import read_scan
from core.volume import Volume, canonical

AXES = "dhw"
MEAN_HU = (0.0, 180.0)
"""A pancreas lies in between, in all phases: about 40 HU native, 130 HU arterial."""
TISSUE_HU = (-120.0, 200.0)
"""Fat to enhanced tissue: air and bone beside a mask say no more than these."""
MARGIN = 2
LEAD_HU = 5.0
"""By how much the right flip stands out more than any other; less is no decision."""


class NihCase(NamedTuple):
    """One patient."""

    patient: str
    """PANCREAS_0001."""
    folder: Path
    """Of the DICOM files."""
    label: Path
    """NIfTI, 1 in the pancreas."""


class NihDataset(NamedTuple):
    """All patients with images and label, and what was left out."""

    cases: tuple[NihCase, ...]
    skipped: tuple[Skipped, ...]


def find_nih(root: Path) -> NihDataset | None:
    """Patients of a tree; None where it holds no folder PANCREAS_0001 and the like."""
    folders = {p.name[-4:]: p for p in sorted(root.rglob("PANCREAS_[0-9]*")) if _is_patient(p)}
    if not folders:
        return None
    labels = {p.name[5:9]: p for p in sorted(root.rglob("label[0-9]*.nii*")) if _is_label(p)}
    cases = [
        NihCase(folders[number].name, folders[number], labels[number])
        for number in sorted(folders.keys() & labels.keys())
    ]
    alone = [Skipped(folders[n], "no label of its number") for n in folders if n not in labels]
    alone += [Skipped(labels[n], "no images of its number") for n in labels if n not in folders]
    return NihDataset(tuple(cases), tuple(alone))


def read_nih_case(case: NihCase, *, flip: str) -> tuple[Volume, Volume]:
    """CT of a patient and its label on the CT's grid, both canonical.

    Args:
      case: of `find_nih`.
      flip: axes of the label, as it is stored, that run against the canonical CT: letters of "dhw",
        or "none"; "auto" finds them out.

    Raises:
      InputError: a file cannot be read, the shapes do not fit, or no flip is the right one for
        certain.
    """
    scans, _ = find_scans(case.folder)
    ct = canonical(read_scan(max(scans, key=lambda scan: len(scan.files))))
    label = nifti.read_label(case.label).array
    fits = [p for p in permutations(range(3)) if label.transpose(p).shape == ct.shape]
    if not fits:
        raise InputError(
            f"has the shape {label.shape} and its CT {ct.shape} (D, H, W)", path=case.label
        )
    if flip != "auto":
        return ct, ct.with_array(_placed(label, fits[0], tuple(axis in flip for axis in AXES)))
    return ct, ct.with_array(_best(ct.array, label, fits, case.label))


def _best(ct: NDArray, label: NDArray, orders: list, path: Path) -> NDArray:
    """The label in the position in which it stands out most."""
    if not label.any():
        return np.zeros(ct.shape, label.dtype)
    placements = sorted(_judged(ct, label, orders), key=lambda judged: -judged[0])
    (contrast, mean, order, flips), (second, *_) = placements[0], placements[1]
    if not MEAN_HU[0] <= mean <= MEAN_HU[1] or contrast - second < LEAD_HU:
        raise InputError(
            f"no flip puts the label on a pancreas for certain: the best two stand out by "
            f"{contrast:.0f} and {second:.0f} HU, with a mean of {mean:.0f} HU",
            path=path,
            hint="look at it, and set the flip: --prepare.label-flip",
        )
    return _placed(label, order, flips)


def _judged(ct: NDArray, label: NDArray, orders: list) -> Iterator[tuple]:
    """(how much brighter than around it, mean HU, order, flips) for every position."""
    for order, flips in product(orders, product((False, True), repeat=3)):
        mask = _placed(label, order, flips) > 0
        edges = ndimage.find_objects(mask.view(np.uint8))[0]
        box = tuple(slice(max(0, e.start - MARGIN - 1), e.stop + MARGIN + 1) for e in edges)
        mask = mask[box]
        around = np.logical_and(ndimage.binary_dilation(mask, iterations=MARGIN), ~mask)
        hu = np.clip(ct[box], *TISSUE_HU)
        inside, outside = (float(hu[m].mean()) if m.any() else 0.0 for m in (mask, around))
        yield inside - outside, inside, order, flips


def _placed(label: NDArray, order: tuple[int, ...], flips: tuple[bool, ...]) -> NDArray:
    """The label with axes reversed, then in another order."""
    return np.flip(label, tuple(a for a, f in enumerate(flips) if f)).transpose(order)


def _is_patient(path: Path) -> bool:
    return path.is_dir() and re.fullmatch(r"PANCREAS_\d{4}", path.name) is not None


def _is_label(path: Path) -> bool:
    return re.fullmatch(r"label\d{4}\.nii(\.gz)?", path.name) is not None
