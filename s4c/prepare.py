"""From the files of data sets to prepared scans on disk, and to the cases of a fold."""

from collections.abc import Sequence
from functools import partial
from math import prod
from pathlib import Path

import numpy as np

from core import cli
from core.commands import prepare as prepared_data
from core.commands.sources import Made, digest, sources_of
from core.config import fingerprint, flags
from core.data.patches import sample_voxels
from core.data.splits import Split, cases_of, k_fold_and_hard_split, stratified_k_fold
from core.datasets.pancreas import (
    NAMES,
    NAMES_WITH_DUCT,
    TUMOR,
    in_pancreas,
    pancreas_labels,
)
from core.datasets.pancreas_cases import read_pancreas_sets, require_annotated
from core.datasets.pancreas_layouts import PancreasCase
from core.errors import InputError
from core.names import escaped
from core.preprocess.appearance import appearance_of
from core.preprocess.crop import Box, bounding_box
from core.preprocess.intensity import statistics, window_int16
from core.random import rng
from core.volume import canonical
from s4c.config import PrepareConfig, SplitConfig
from s4c.data import Prepared
from s4c.grid import network_grid, seen

MAX_VOXELS = 10_000
"""Stored to centre patches on: as many as nnU-Net keeps of a class."""
BYTES_PER_VOXEL = 5.3
"""In memory, of a case of whole HU: 0.9 GB for 512×512×667; 8 where HU have fractions."""
CASES_AT_A_TIME = 2
"""Each with its `BYTES_PER_VOXEL`."""
CLASSES = {
    "with a tumor": lambda case: case.is_abnormal,
    "without a tumor": lambda case: not case.is_abnormal,
}


def prepare(
    data: cli.Data,
    out: Path,
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008 - frozen, and the flags' defaults
    *,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    labels: str | None = None,
    exclude_overlap: bool = False,
) -> bool:
    """Read data sets once for all networks: files to prepared cases, cached and resumable.

    Args:
      data: folders of nnU-Net raw, MSD, NIH, PANORAMA, PanTS, AbdomenAtlas or TotalSegmentator,
        whose labels together name pancreas and tumor.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped, and
        cases of other intensities beside these are left alone.
      prepare: intensities.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient, as CSV or .xlsx.
      labels: what label names mean, lesion=tumor,parenchyma=pancreas,*=background: a name is
        pancreas, tumor, background or ignore, and * all that are neither named nor known.
      exclude_overlap: leave out the cases of PANORAMA that MSD and NIH hold as well.

    Returns:
      Whether a labelled case was left out.

    Raises:
      InputError: no usable case, the reason of each is logged; or no room on the disk.
    """
    read = read_pancreas_sets(
        data,
        labels=pancreas_labels(labels, duct=prepare.duct),
        exclude_overlap=exclude_overlap,
        flip=prepare.label_flip,
        phase=prepare.phase,
        duct=prepare.duct,
        patient_pattern=patient_pattern,
        patients=patients,
    )
    require_annotated(read, NAMES_WITH_DUCT if prepare.duct else NAMES)  # before any work
    folder = out / fingerprint(prepare)
    own_make, own_bytes = partial(make, cfg=prepare), partial(num_bytes, cfg=prepare)
    sources = [sources_of(of_one, own_make, own_bytes) for of_one in read]
    num_left_out = prepared_data.prepare(sources, folder, at_a_time=CASES_AT_A_TIME)
    prepared_data.warn_of_empty_classes(open_cases(folder), CLASSES)
    return num_left_out > 0


def num_bytes(case: PancreasCase, cfg: PrepareConfig) -> int:
    """What a prepared case takes on disk: image and label, and beside them less than a megabyte."""
    volume = canonical(case.read_grid())
    grid = network_grid(volume, cfg)
    shape = volume.shape if grid is None else grid.shape
    return prod(shape) * (np.int16().itemsize + np.uint8().itemsize)


def make(case: PancreasCase, cfg: PrepareConfig) -> Made:
    """Arrays and meta of one case, in canonical orientation, on the networks' grid."""
    image, label = map(canonical, case.read())
    grid = network_grid(image, cfg)
    ids = label.array if grid is None else grid.label(label.array)
    of_image = {"digest": digest(image.array), "scans": [appearance_of(image)._asdict()]}
    hu = window_int16(seen(image, grid), *cfg.window_hu)
    del image  # frees its voxels
    mean, std = statistics(hu)
    inside, tumor = in_pancreas(ids), ids == TUMOR
    # The same voxels whenever a case is prepared: the draw depends on its id alone.
    random = rng(0, *escaped(case.id).encode())
    arrays = {
        "image": hu,
        "label": ids,
        "pancreas_voxels": sample_voxels(random, inside, MAX_VOXELS),
        "tumor_voxels": sample_voxels(random, tumor, MAX_VOXELS),
    }
    meta = {
        **of_image,
        "mean": mean,
        "std": std,
        "pancreas_box": bounding_box(inside),
        "tumor_box": bounding_box(tumor),
    }
    return arrays, meta


def find_cache(
    data: Sequence[Path], cfg: PrepareConfig, workdir: Path, *, labels: str | None = None
) -> Path:
    """Folder of prepared cases: of a cache, or of data sets that are prepared into `workdir`.

    Args:
      data: one cache, or data sets.
      cfg: intensities.
      workdir: run folder.
      labels: as of `prepare`, "" for none; a cache must have been told the same, unless it is None.
    """
    return prepared_data.find_cache(
        data,
        fingerprint(cfg),
        prepare_into=lambda data_sets, out: prepare(data_sets, out, cfg, labels=labels),
        workdir=workdir,
        command=" ".join(("run s4c prepare", *flags(cfg, "prepare"))),
        labels=None if labels is None else pancreas_labels(labels, duct=cfg.duct),
    )


def open_cases(folder: Path) -> list[Prepared]:
    """Prepared cases of a cache; their voxels stay on disk until a patch is cut."""

    def box(stored: Sequence[Sequence[int]] | None) -> Box | None:
        return None if stored is None else Box(*map(tuple, stored))

    return [
        Prepared(
            id=case.id,
            patient=case.entry.patient,
            digest=case.stored.meta["digest"],
            image=case.stored.arrays["image"],
            mean=case.stored.meta["mean"],
            std=case.stored.meta["std"],
            label=case.stored.arrays["label"],
            pancreas_voxels=case.stored.arrays["pancreas_voxels"][...],
            tumor_voxels=case.stored.arrays["tumor_voxels"][...],
            pancreas_box=box(case.stored.meta["pancreas_box"]),
            tumor_box=box(case.stored.meta["tumor_box"]),
        )
        for case in prepared_data.load(folder)
    ]


def folds(cases: Sequence[Prepared], cfg: SplitConfig) -> list[Split]:
    """Splits of the case ids by patient: abnormal in folds, normal divided once or in folds.

    A patient with any annotated tumor counts as abnormal (Sec. 3.1; PNET Sec. 3.1).
    """
    abnormal = {case.patient for case in cases if case.is_abnormal}
    normal = {case.patient for case in cases} - abnormal
    patient_of = {case.id: case.patient for case in cases}
    try:
        if cfg.normal == "folds":
            classes = {patient: patient in abnormal for patient in (*abnormal, *normal)}
            splits = stratified_k_fold(classes, cfg.num_folds, cfg.seed)
        else:
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
