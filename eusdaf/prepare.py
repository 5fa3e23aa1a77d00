"""From the files of a data set to prepared pictures on disk, and to the cases of a fold."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.config import fingerprint
from core.data import prepare as cache
from core.data.cache import open_case
from core.data.splits import Split, cases_of, k_fold
from core.datasets.duplicates import keep_duplicates_together
from core.datasets.image_case import ImageCase, ImageDataset
from core.datasets.images import read_case, read_images
from core.errors import InputError
from core.preprocess.resize import resize_gray, resize_mask
from eusdaf.config import PrepareConfig, SplitConfig
from eusdaf.data import Prepared

logger = logging.getLogger(__name__)

CASES_AT_A_TIME = 4
"""Each holds one picture and its masks in memory."""


def prepare(data: Path, out: Path, cfg: PrepareConfig) -> Path:
    """Prepare every picture of a data set; what is done already stays.

    Args:
      data: folder of pictures and masks.
      out: cache folder; pictures of another size beside these are left alone.
      cfg: size.

    Returns:
      Folder of this preparation, `out/<fingerprint>`.

    Raises:
      InputError: no usable picture; the reason of each is logged.
    """
    dataset = read_dataset(data)
    cases = {case.id: case for case in dataset.cases}
    folder = out / fingerprint(cfg)
    index = cache.prepare(
        folder,
        {case.id: (case.image, *case.masks) for case in dataset.cases},
        lambda id_: make(cases[id_], cfg),
        skipped=dataset.skipped,
        num_threads=CASES_AT_A_TIME,
        report=_report,
    )
    logger.info("%d pictures prepared, %d files skipped", len(index.used), len(index.skipped))
    if not index.used:
        raise InputError("has no usable picture", path=data, hint=index.skipped[0].reason)
    return folder


def read_dataset(data: Path) -> ImageDataset:
    """Pictures of a data set; where it knows no patients, near-duplicates count as one patient's.

    A split by patient then never has two pictures of one lesion on either side.
    """
    dataset = read_images(data)
    if dataset.knows_patients:
        return dataset
    dataset = keep_duplicates_together(dataset)
    num_patients = len({case.patient for case in dataset.cases})
    logger.info(
        "no patients are known: %d pictures in %d groups of near-duplicates",
        len(dataset.cases),
        num_patients,
    )
    return dataset


def make(case: ImageCase, cfg: PrepareConfig) -> cache.Made:
    """Arrays and meta of one picture."""
    frame, mask = read_case(case)
    size = (cfg.size, cfg.size)
    arrays = {
        "image": resize_gray(frame.gray(), size),
        "mask": resize_mask(mask.array, size).astype(np.uint8),
    }
    meta = {
        "patient": case.patient,
        "has_lesion": bool(mask.array.any()),
        "notes": list(mask.notes),
    }
    return arrays, meta


def load(data: Path, cfg: PrepareConfig, workdir: Path) -> list[Prepared]:
    """Prepared pictures of a cache, or of a data set that is prepared into `workdir` first.

    Args:
      data: what `prepare` wrote, or a data set.
      cfg: size; a cache of another size is not used.
      workdir: run folder.
    """
    folder = data / fingerprint(cfg)
    if not (folder / cache.INDEX).is_file():
        if any(data.glob(f"*/{cache.INDEX}")):
            raise InputError(
                f"holds no pictures prepared at {cfg.size} × {cfg.size}",
                path=data,
                hint=f"run eusdaf prepare --size {cfg.size}",
            )
        folder = prepare(data, workdir / "prepared", cfg)
    return [_open(folder, id_) for id_ in cache.read_index(folder).used]


def _open(folder: Path, id_: str) -> Prepared:
    case = open_case(folder, id_)
    return Prepared(
        id=id_,
        patient=case.meta["patient"],
        image=case.arrays["image"],
        mask=case.arrays["mask"],
        has_lesion=case.meta["has_lesion"],
    )


def folds(cases: Sequence[Prepared], cfg: SplitConfig) -> list[Split]:
    """Splits of the case ids, all pictures of a patient on one side (Sec. 2.3)."""
    patient_of = {case.id: case.patient for case in cases}
    try:
        splits = k_fold(patient_of.values(), cfg.num_folds, cfg.seed)
    except ValueError as error:
        raise InputError(
            str(error), hint="set --split.num-folds, or train without --fold"
        ) from None
    return [cases_of(split, patient_of) for split in splits]


def _report(case: str, reason: str | None) -> None:
    if reason is not None:
        logger.error("skipped %s: %s", case, reason)
