"""Patients in three parts: to learn from, to choose weights by, to be judged on.

They are made of `core.data.splits`: they too depend on nothing but the seed and the names.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from core.data.splits import Split, shuffled_classes, stratified_k_fold, stratified_split

LOG = logging.getLogger(__name__)


class Parts(NamedTuple):
    """Names in three parts, each sorted."""

    train: tuple[str, ...]
    """To learn from."""
    val: tuple[str, ...]
    """To choose the weights by."""
    test: tuple[str, ...]
    """To be judged on."""


def nested_k_fold(
    patients: Mapping[str, object], num_folds: int, val_fraction: float, seed: int
) -> tuple[Parts, ...]:
    """Folds with a validation part inside each training set, every class shared out alike.

    Five folds with a fraction of 0.2 are 64 % to learn from, 16 % to choose by and 20 % held out.

    Args:
      patients: name → class, such as whether there are metastases; one class, no stratification.
      num_folds: at least 2, at most the number of patients.
      val_fraction: share of the patients that a fold does not hold out.
      seed: another seed, another shuffle.

    Returns:
      Three parts per fold; the test parts hold every patient once.

    Raises:
      ValueError: if there are fewer patients than folds.
    """
    folds = stratified_k_fold(patients, num_folds, seed)
    return tuple(with_validation(fold, patients, val_fraction, seed) for fold in folds)


def with_validation(
    split: Split, patients: Mapping[str, object], val_fraction: float, seed: int
) -> Parts:
    """Three parts from two: some of the training patients are set aside, of every class alike.

    Args:
      split: of patients.
      patients: name → class, of the training patients at least.
      val_fraction: share of them to set aside; one is left to learn from.
      seed: another seed, another shuffle.
    """
    classes = {patient: patients[patient] for patient in split.train}
    num_val = max(0, min(round(val_fraction * len(classes)), len(classes) - 1))
    inner = stratified_split(classes, len(classes) - num_val, seed)
    return Parts(inner.train, inner.test, split.test)


def three_parts(patients: Mapping[str, object], ratio: Sequence[int], seed: int) -> Parts:
    """Patients in three parts, every class shared out alike.

    Each part is as near to the ratio as whole patients allow, and within a class as near as that
    leaves: never off by more than one.

    Args:
      patients: name → class, such as whether there is a tumor.
      ratio: of training, validation and test, such as 6, 2, 2.
      seed: another seed, another shuffle.

    Raises:
      ValueError: a part that the ratio asks for would be empty.
    """
    classes = shuffled_classes(patients, seed)
    parts: tuple[list[str], ...] = ([], [], [])
    counts = _share_out({name: len(members) for name, members in classes.items()}, ratio)
    for name, members in classes.items():
        for part, count in zip(parts, counts[name], strict=True):
            part.extend(members[:count])
            del members[:count]
    if any(share > 0 and not part for share, part in zip(ratio, parts, strict=True)):
        asked = ":".join(map(str, ratio))
        raise ValueError(f"cannot part {len(patients)} patients {asked}: each part needs one")
    return Parts(*(tuple(sorted(part)) for part in parts))


def image_parts(patient_of: Mapping[str, str], ratio: Sequence[int], seed: int) -> Parts:
    """Images in three parts without a look at whose they are; the log warns of the leak.

    Args:
      patient_of: image → patient.
      ratio: of training, validation and test.
      seed: another seed, another shuffle.

    Raises:
      ValueError: a part that the ratio asks for would be empty.
    """
    parts = three_parts(dict.fromkeys(patient_of, ""), ratio, seed)
    learned, *others = ({patient_of[image] for image in part} for part in parts)
    both = learned & set().union(*others)
    LOG.warning(
        "split by image: %d of %d patients are learned from and judged on; "
        "what is measured on them is no estimate for new patients",
        len(both),
        len(set(patient_of.values())),
    )
    return parts


def _share_out(sizes: Mapping[str, int], ratio: Sequence[int]) -> dict[str, list[int]]:
    """Members of each class in each part; a class and the whole are both rounded up or down."""
    total, parts = sum(ratio), range(len(ratio))
    counts = {name: [size * r // total for r in ratio] for name, size in sizes.items()}
    whole = sum(sizes.values())
    missing = [
        whole * r // total - sum(c[part] for c in counts.values()) for part, r in enumerate(ratio)
    ]
    by_remainder = sorted(parts, key=lambda part: -(whole * ratio[part] % total))
    for part in by_remainder[: whole - sum(whole * r // total for r in ratio)]:
        missing[part] += 1
    for name, size in sorted(sizes.items()):
        # What is left of a class goes where most is missing: so nothing is left at the end.
        rest = [size * r % total for r in ratio]
        order = sorted(parts, key=lambda part: (-missing[part], -rest[part]))
        for part in order[: size - sum(counts[name])]:
            counts[name][part] += 1
            missing[part] -= 1
    return counts
