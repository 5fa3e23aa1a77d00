"""From the files of data sets to prepared pictures on disk, and to the cases of a fold."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core import cli
from core.commands import prepare as prepared_data
from core.commands.sources import Made, Source, Sources, digest
from core.commands.train import patient_folds
from core.config import fingerprint, flags
from core.data.index import read_index
from core.data.splits import Split
from core.datasets.case import ImageCase, ImageDataset
from core.datasets.duplicates import keep_duplicates_together
from core.datasets.images import read_case, read_images
from core.errors import InputError
from core.io.image.contrast import require_contrast
from core.preprocess.resize import resize_gray, resize_mask
from eusdaf.config import PrepareConfig, SplitConfig
from eusdaf.data import Prepared

logger = logging.getLogger(__name__)

CASES_AT_A_TIME = 4
"""Each holds one picture and its masks in memory."""
CLASSES = {
    "with a lesion": lambda case: case.has_lesion,
    "without a lesion": lambda case: not case.has_lesion,
}


def prepare(
    data: cli.Data,
    out: Path,
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008 - frozen, and the flags' defaults
    *,
    patient_pattern: str | None = None,
    patients: Path | None = None,
) -> bool:
    """Read data sets once for all networks: files to prepared pictures, cached and resumable.

    Args:
      data: folders of pictures and masks.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped, and
        pictures of another size beside these are left alone.
      prepare: size, and the value of the lesion in masks that have several.
      patient_pattern: regular expression whose first group is the patient in a picture's id.
      patients: table with the columns image,patient, as CSV or .xlsx.

    Returns:
      Whether an annotated picture was left out.

    Raises:
      InputError: no usable picture; the reason of each is logged.
    """
    folder = out / fingerprint(prepare)
    read = read_data_sets(
        data,
        patient_pattern=patient_pattern,
        patients=patients,
        lesion_value=prepare.lesion_value,
        cache=folder,
    )
    if not all(dataset.knows_patients for dataset in read):
        logger.info("not all patients are known: near-duplicate pictures count as one patient's")
    sources = [_sources(dataset, prepare) for dataset in read]
    num_left_out = prepared_data.prepare(sources, folder, at_a_time=CASES_AT_A_TIME)
    prepared_data.warn_of_empty_classes(open_cases(folder), CLASSES)
    return num_left_out > 0


def read_data_sets(
    data: Sequence[Path],
    *,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    lesion_value: str | None = None,
    cache: Path | None = None,
) -> list[ImageDataset]:
    """Annotated pictures; where patients are not known, near-duplicates count as one patient's.

    So a split by patient never has two pictures of one lesion on either side, whichever of the data
    sets they come from.

    Args:
      data: folders of pictures and masks.
      patient_pattern: regular expression whose first group is the patient in a picture's id.
      patients: table with the columns image,patient.
      lesion_value: of masks with several values, that of the lesion.
      cache: of a preparation, whose pictures are compared as well.
    """
    read = [
        _with_lesion(
            read_images(d, patient_pattern=patient_pattern, patients=patients), lesion_value
        )
        for d in data
    ]
    before = _in_cache(cache, {dataset.root.resolve() for dataset in read}) if cache else []
    if all(dataset.knows_patients for dataset in read) and not before:
        return read
    pictures = (*before, *(case for dataset in read for case in dataset.cases))
    together = keep_duplicates_together(replace(read[0], cases=pictures)).cases
    patient_of = {case.image: case.patient for case in together}
    return [
        replace(d, cases=tuple(replace(c, patient=patient_of[c.image]) for c in d.cases))
        for d in read
    ]


def _with_lesion(dataset: ImageDataset, value: str | None) -> ImageDataset:
    cases = tuple(replace(case, lesion_value=value) for case in dataset.cases)
    return replace(dataset, cases=cases)


def _in_cache(folder: Path, roots: set[Path]) -> list[ImageCase]:
    """Pictures that other data sets brought into a cache, unless all of their patients are known.

    They come first, and so give a group its name: the index keeps theirs.
    """
    try:
        index = read_index(folder)
    except InputError:  # none yet, or of an older version: it is written anew
        return []
    entries = [
        (id_, entry)
        for root, contents in index.items()
        for id_, entry in contents.cases.items()
        if root not in roots
    ]
    if all(entry.facts["knows_patient"] for _, entry in entries):
        return []
    return [ImageCase(id_, e.patient, e.files[0], e.files[1:]) for id_, e in entries]


def _sources(dataset: ImageDataset, cfg: PrepareConfig) -> Sources:
    facts = {"knows_patient": dataset.knows_patients}

    def source(case: ImageCase) -> Source:
        files = (case.image, *case.masks)
        return Source(
            case.id, case.patient, files, lambda: make(case, cfg), lambda: 2 * cfg.size**2, facts
        )

    return Sources(dataset.root, [source(case) for case in dataset.cases], dataset.skipped)


def make(case: ImageCase, cfg: PrepareConfig) -> Made:
    """Arrays and meta of one picture."""
    frame, mask = read_case(case)
    gray, size = frame.gray(), (cfg.size, cfg.size)
    require_contrast(gray, case.image)
    arrays = {
        "image": resize_gray(gray, size),
        "mask": resize_mask(mask, size).astype(np.uint8),
    }
    return arrays, {"digest": digest(gray), "has_lesion": bool(mask.any())}


def find_cache(data: Sequence[Path], cfg: PrepareConfig, workdir: Path) -> Path:
    """Folder of prepared pictures: of a cache, or of data sets that are prepared into `workdir`."""
    return prepared_data.find_cache(
        data,
        fingerprint(cfg),
        prepare_into=lambda data_sets, out: prepare(data_sets, out, cfg),
        workdir=workdir,
        command=" ".join(("run eusdaf prepare", *flags(cfg, "prepare"))),
    )


def open_cases(folder: Path) -> list[Prepared]:
    """Prepared pictures of a cache; their pixels stay on disk until a batch is made."""
    return [
        Prepared(
            id=case.id,
            patient=case.entry.patient,
            digest=case.stored.meta["digest"],
            image=case.stored.arrays["image"],
            mask=case.stored.arrays["mask"],
            has_lesion=case.stored.meta["has_lesion"],
        )
        for case in prepared_data.load(folder)
    ]


def folds(cases: Sequence[Prepared], cfg: SplitConfig) -> list[Split]:
    """Splits of the case ids, all pictures of a patient on one side (Sec. 2.3)."""
    return patient_folds(cases, cfg.num_folds, cfg.seed)
