"""Cases of one image, or of a patient of several data sets: they stay on one side of a split.

Only equal images are found: the digest is of every voxel's HU. A copy that was cropped or resampled
is another image here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def same_images(digests: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Groups of two cases or more that have one image, each sorted.

    Args:
      digests: of the image of each case; "" where it is not known.
    """
    groups = defaultdict(list)
    for id_, digest in sorted(digests.items()):
        if digest:
            groups[digest].append(id_)
    return sorted(tuple(ids) for ids in groups.values() if ids[1:])


def joined_patients(
    patient_of: Mapping[str, str], groups: Iterable[Sequence[str]]
) -> dict[str, str]:
    """Patient of each case where those of a group count as one, also over several steps.

    Args:
      patient_of: case → patient, as its data set tells.
      groups: cases of one image each.

    Returns:
      Case → the first name, in their order, of the patients that it is of.
    """
    instead: dict[str, str] = {}

    def name(patient: str) -> str:
        while patient in instead:
            patient = instead[patient]
        return patient

    for ids in groups:
        first, *others = sorted({name(patient_of[id_]) for id_ in ids})
        instead |= dict.fromkeys(others, first)
    return {id_: name(patient) for id_, patient in patient_of.items()}


def in_several(patients: Mapping[T, Iterable[str]]) -> dict[str, list[T]]:
    """Patients of more than one data set, sorted, and which these are.

    Args:
      patients: of each data set.
    """
    places: dict[str, list[T]] = defaultdict(list)
    for place, names in patients.items():
        for name in set(names):
            places[name].append(place)
    return {name: where for name, where in sorted(places.items()) if where[1:]}
