"""From the files of a data set to prepared scans on disk, and to the cases of a fold."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.config import fingerprint
from core.data import prepare as cache
from core.data.cache import open_case
from core.data.patches import sample_voxels
from core.data.splits import Split, cases_of, k_fold_and_hard_split
from core.datasets import Case, Dataset, read_dataset
from core.datasets.pancreas import BACKGROUND, NAMES, TUMOR, lookup
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.preprocess.crop import Box, bounding_box
from core.preprocess.intensity import statistics, window
from core.random import rng
from core.volume import canonical
from s4c.config import PrepareConfig, SplitConfig
from s4c.data import Prepared

logger = logging.getLogger(__name__)

MAX_VOXELS = 10_000
"""Stored to centre patches on: as many as nnU-Net keeps of a class."""
CASES_AT_A_TIME = 2
"""Each holds its scan and label in memory: about 1 GB for 512×512×667."""


def prepare(data: Path, out: Path, cfg: PrepareConfig) -> Path:
    """Prepare every labelled case of a data set; what is done already stays.

    Args:
      data: nnU-Net raw or MSD folder.
      out: cache folder; cases of other intensities beside these are left alone.
      cfg: intensities.

    Returns:
      Folder of this preparation, `out/<fingerprint>`.

    Raises:
      InputError: no usable case; the reason of each is logged.
    """
    dataset = read_dataset(data)
    lookup(
        dataset.label_ids, dataset.root, needed=NAMES
    )  # before any work: does it label what s4c needs?
    cases = {case.id: case for case in dataset.cases}
    folder = out / fingerprint(cfg)
    index = cache.prepare(
        folder,
        # The description too: another map of label names makes other labels.
        {c.id: (c.images[0], c.label, data / "dataset.json") for c in dataset.cases},
        lambda id_: make(cases[id_], dataset, cfg),
        skipped=dataset.skipped,
        num_threads=CASES_AT_A_TIME,
        report=_report,
    )
    logger.info("%d cases prepared, %d files skipped", len(index.used), len(index.skipped))
    if not index.used:
        raise InputError("has no usable case", path=data, hint=index.skipped[0].reason)
    return folder


def make(case: Case, dataset: Dataset, cfg: PrepareConfig) -> cache.Made:
    """Arrays and meta of one case, in canonical orientation."""
    path, label_path = case.images[0], case.label
    image, label = nifti.read(path), nifti.read_label(label_path)
    check_ids(label, dataset.label_ids.values(), label_path)
    label = canonical(require_same_grid(image, label, path, label_path))
    image = canonical(image)
    ids = lookup(dataset.label_ids, dataset.root, needed=NAMES)[label.array]
    hu = np.rint(window(image.array, *cfg.window_hu)).astype(np.int16)
    mean, std = statistics(hu)
    # The same voxels whenever a case is prepared: the draw depends on its id alone.
    random = rng(0, *case.id.encode())
    arrays = {
        "image": hu,
        "label": ids,
        "pancreas_voxels": sample_voxels(random, ids != BACKGROUND, MAX_VOXELS),
        "tumor_voxels": sample_voxels(random, ids == TUMOR, MAX_VOXELS),
    }
    meta = {
        "patient": case.patient,
        "mean": mean,
        "std": std,
        "pancreas_box": bounding_box(ids != BACKGROUND),
        "tumor_box": bounding_box(ids == TUMOR),
    }
    return arrays, meta


def load(data: Path, cfg: PrepareConfig, workdir: Path) -> list[Prepared]:
    """Prepared cases of a cache, or of a data set that is prepared into `workdir` first.

    Args:
      data: what `prepare` wrote, or a data set.
      cfg: intensities; a cache that was made with others is refused.
      workdir: run folder.
    """
    if (data / "dataset.json").is_file():
        folder = prepare(data, workdir / "prepared", cfg)
    else:
        folder = data / fingerprint(cfg)
        if not (folder / cache.INDEX).is_file():
            raise InputError(
                f"is neither a data set nor prepared with {cfg}",
                path=data,
                hint="give a folder with dataset.json, or the --out of s4c prepare",
            )
    return [_open(folder, id_) for id_ in cache.read_index(folder).used]


def _open(folder: Path, id_: str) -> Prepared:
    case = open_case(folder, id_)

    def box(name: str) -> Box | None:
        found = case.meta[name]
        return None if found is None else Box(*map(tuple, found))

    return Prepared(
        id=id_,
        patient=case.meta["patient"],
        image=case.arrays["image"],
        mean=case.meta["mean"],
        std=case.meta["std"],
        label=case.arrays["label"],
        pancreas_voxels=case.arrays["pancreas_voxels"][...],
        tumor_voxels=case.arrays["tumor_voxels"][...],
        pancreas_box=box("pancreas_box"),
        tumor_box=box("tumor_box"),
    )


def folds(cases: Sequence[Prepared], cfg: SplitConfig) -> list[Split]:
    """Splits of the case ids by patient: abnormal in folds, normal divided once (Sec. 3.1).

    A patient with any annotated tumor counts as abnormal.
    """
    abnormal = {case.patient for case in cases if case.is_abnormal}
    normal = {case.patient for case in cases} - abnormal
    patient_of: Mapping[str, str] = {case.id: case.patient for case in cases}
    try:
        splits = k_fold_and_hard_split(
            abnormal,
            normal,
            num_folds=cfg.num_folds,
            num_train=round(cfg.normal_train * len(normal)),
            seed=cfg.seed,
        )
    except ValueError as error:
        raise InputError(
            str(error), hint="set --split.num-folds, or train without --fold"
        ) from None
    return [cases_of(split, patient_of) for split in splits]


def _report(case: str, reason: str | None) -> None:
    if reason is None:
        logger.info("prepared %s", case)
    else:
        logger.error("skipped %s: %s", case, reason)
