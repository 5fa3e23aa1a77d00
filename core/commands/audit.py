"""What every preparation tells of leakage: images and patients that are there twice."""

import logging
from pathlib import Path

from core.data.index import INDEX, Index, copies, shared_patients

logger = logging.getLogger(__name__)


def log_leakage(index: Index, folder: Path) -> None:
    """Warn of cases with one image, and of patients of several data sets.

    Args:
      index: of the cache; it has them as "same_image" and "same_patient".
      folder: of the cache.
    """
    where = {id_: root for root, part in index.items() for id_ in part.cases}
    if groups := copies(index):
        example = " and ".join(f"{id_} of {where[id_]}" for id_ in groups[0][:2])
        logger.warning(
            "%d cases have an image that another case has, such as %s: those of one image count as "
            "one patient's in every split; %s lists them",
            sum(map(len, groups)),
            example,
            folder / INDEX,
        )
    if patients := shared_patients(index):
        name, places = next(iter(patients.items()))
        logger.warning(
            "%d patients are in several data sets, such as %r in %s: each counts as one in every "
            "split; if they are others of the same name, tell them apart by --patients; %s lists "
            "them",
            len(patients),
            name,
            " and ".join(map(str, places)),
            folder / INDEX,
        )
