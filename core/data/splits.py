"""Training and test sets, by patient: no patient is on both sides, unless asked for by its name.

Patients are put in an order by a hash of (seed, patient). So a split depends on nothing but the
seed and the names: not on the order of the input, nor on the version of a random generator.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.names import escaped


@dataclass(frozen=True)
class Split:
    """Names on either side.

    Args:
      train: patients or cases to learn from, sorted.
      test: patients or cases to be judged on, sorted.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        if both := sorted(set(self.train) & set(self.test)):
            raise ValueError(f"on both sides of a split: {', '.join(both)}")


def k_fold(patients: Iterable[str], num_folds: int, seed: int) -> tuple[Split, ...]:
    """Folds whose test sets hold every patient once, and differ in size by one at most.

    Args:
      patients: names; one that comes twice counts once.
      num_folds: at least 2, at most the number of patients.
      seed: another seed, another shuffle.

    Returns:
      One split per fold.

    Raises:
      ValueError: if there are fewer patients than folds.
    """
    return stratified_k_fold(dict.fromkeys(patients), num_folds, seed)


def stratified_k_fold(
    patients: Mapping[str, object], num_folds: int, seed: int
) -> tuple[Split, ...]:
    """Folds that share out every class alike.

    Test sets hold every patient once. Their sizes differ by one at most, and so do their numbers of
    patients of any class. Of a single class they are those of `k_fold`.

    Args:
      patients: name → class, such as whether there are metastases.
      num_folds: at least 2, at most the number of patients.
      seed: another seed, another shuffle.

    Returns:
      One split per fold.

    Raises:
      ValueError: if there are fewer patients than folds.
    """
    # Dealt like cards, class after class: a fold has a card more of a class, or in all, or not.
    order = [patient for members in _by_class(patients, seed) for patient in members]
    if not 2 <= num_folds <= len(order):
        raise ValueError(
            f"cannot make {num_folds} folds of {len(order)} patients: "
            "at least 2 folds, and a patient for each"
        )
    tests = [set(order[fold::num_folds]) for fold in range(num_folds)]
    return tuple(_split(set(order) - test, test) for test in tests)


def hard_split(patients: Iterable[str], num_train: int, seed: int) -> Split:
    """One division, the same for every fold.

    Args:
      patients: names; one that comes twice counts once.
      num_train: how many to learn from; the others are the test set.
      seed: another seed, another shuffle.

    Raises:
      ValueError: if there are fewer patients than that.
    """
    return stratified_split(dict.fromkeys(patients), num_train, seed)


def stratified_split(patients: Mapping[str, object], num_train: int, seed: int) -> Split:
    """One division that shares out every class alike: less than one patient from its share.

    Of a single class it is that of `hard_split`.

    Args:
      patients: name → class.
      num_train: how many to learn from; the others are the test set.
      seed: another seed, another shuffle.

    Raises:
      ValueError: if there are fewer patients than that.
    """
    if not 0 <= num_train <= len(patients):
        raise ValueError(f"cannot train on {num_train} of {len(patients)} patients")
    train, test, num_before = [], [], 0
    for members in _by_class(patients, seed):
        # Shares of all patients up to here are rounded down: they add up to num_train at the end.
        first, last = (
            n * num_train // len(patients) for n in (num_before, num_before + len(members))
        )
        train += members[: last - first]
        test += members[last - first :]
        num_before += len(members)
    return _split(train, test)


def k_fold_and_hard_split(
    folded: Iterable[str], divided: Iterable[str], *, num_folds: int, num_train: int, seed: int
) -> tuple[Split, ...]:
    """K-fold of one class beside a hard split of the other, which is the same in every fold.

    136 abnormal in 4 folds and 303 normal, 103 of them to train on: each fold trains on 102 + 103
    and is judged on 34 + 200.

    Args:
      folded: patients of the class in folds.
      divided: patients of the class that is split once.
      num_folds: of the first class.
      num_train: of the second class.
      seed: of both shuffles.

    Returns:
      One split per fold.

    Raises:
      ValueError: if a patient is in both classes, or a class is too small.

    Source: Zhu et al. 2019, Sec. 3.1.
    """
    folded, divided = set(folded), set(divided)
    if both := sorted(folded & divided):
        raise ValueError(f"in both classes, so on both sides of some fold: {', '.join(both)}")
    same = hard_split(divided, num_train, seed)
    return tuple(
        _split((*fold.train, *same.train), (*fold.test, *same.test))
        for fold in k_fold(folded, num_folds, seed)
    )


def shuffled_classes(patients: Mapping[str, object], seed: int) -> dict[str, list[str]]:
    """Patients by the name of their class, in the order of the hash.

    Args:
      patients: name → class.
      seed: another seed, another shuffle.
    """
    classes: dict[str, list[str]] = {}
    for patient in _shuffled(patients, seed):
        classes.setdefault(str(patients[patient]), []).append(patient)
    return classes


def cases_of(split: Split, patient_of: Mapping[str, str]) -> Split:
    """Split of cases from a split of patients: all scans of a patient stay together.

    Args:
      split: of patients.
      patient_of: case → patient; cases of patients that the split does not name are left out.

    Raises:
      ValueError: if a patient of the split has no case.
    """
    if absent := sorted({*split.train, *split.test} - set(patient_of.values())):
        raise ValueError(f"no case of patient {', '.join(absent)}")
    train, test = set(split.train), set(split.test)
    return _split(
        (case for case, patient in patient_of.items() if patient in train),
        (case for case, patient in patient_of.items() if patient in test),
    )


def _split(train: Iterable[str], test: Iterable[str]) -> Split:
    return Split(tuple(sorted(train)), tuple(sorted(test)))


def _by_class(patients: Mapping[str, object], seed: int) -> list[list[str]]:
    """Shuffled patients of each class, classes in the order of their names."""
    return [members for _, members in sorted(shuffled_classes(patients, seed).items())]


def _shuffled(patients: Iterable[str], seed: int) -> list[str]:
    """Each patient once, in the order of a hash that the seed salts."""

    def salted(patient: str) -> bytes:
        return hashlib.sha256(f"{seed}:{escaped(patient)}".encode()).digest()

    return sorted(set(patients), key=salted)
