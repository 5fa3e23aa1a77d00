"""From the files of data sets to stacks of 8-bit slices on disk."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from core import cli
from core.commands import prepare as prepared_data
from core.commands.prepare import Case, Made, Source, Sources, digest
from core.config import fingerprint, flags
from core.datasets.pancreas import PANCREAS, TUMOR
from core.preprocess.resize import resize_gray, resize_mask
from core.volume import canonical
from fee.config import PrepareConfig, ScreenConfig
from fee.data import PreparedSeries
from fee.dataset_readers import AnnotatedData, AnnotatedSeries, SliceStack, read_data
from fee.slices import to_mask_slices, to_slices

logger = logging.getLogger(__name__)

CASES_AT_A_TIME = 2
"""Each holds its volume and mask in memory: about 1 GB for 512×512×667."""
CLASSES = {
    "with a tumor": lambda series: series.tumor is True,
    "without a tumor": lambda series: series.tumor is False,
}


def prepare(
    data: cli.Data,
    out: Path,
    *,
    screen: ScreenConfig = ScreenConfig(),  # noqa: B008 - frozen, and the flags' defaults
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008
    patient_pattern: str | None = None,
    patients: Path | None = None,
) -> bool:
    """Read data sets once for all networks: files to prepared slices, cached and resumable.

    Args:
      data: cohorts of DICOM folders (`core.datasets.patients`), NIH Pancreas-CT, nnU-Net, MSD or
        PANORAMA folders, or folders of slices and masks.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped, and
        stacks of another preparation beside these are left alone.
      screen: which series of a cohort are used.
      prepare: how a slice is made.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient, as CSV or .xlsx.

    Returns:
      Whether a labelled series was left out.

    Raises:
      InputError: no usable series; the reason of each is logged.
    """
    flip = {"auto": None, "none": ""}.get(prepare.label_flip, prepare.label_flip)
    read = [
        read_data(
            root,
            out / "screening",
            screening=screen,
            flip=flip,
            patient_pattern=patient_pattern,
            patients=patients,
        )
        for root in data
    ]
    for data_set in read:
        if data_set.has_folds:
            logger.warning(
                "%s: splits_final.json is not used: FEE-DL parts patients by --split.*",
                data_set.root,
            )
    folder = out / _name(screen, prepare)
    sources = [_sources(data_set, prepare) for data_set in read]
    num_left_out = prepared_data.prepare(sources, folder, at_a_time=CASES_AT_A_TIME)
    series = open_series(folder)
    prepared_data.warn_of_empty_classes(series, CLASSES)
    if num_unknown := sum(stack.tumor is None for stack in series):
        logger.warning("of %d series it is not known whether there is a tumor", num_unknown)
    return num_left_out > 0


def _sources(data: AnnotatedData, cfg: PrepareConfig) -> Sources:
    return Sources(data.root, [_source(series, cfg) for series in data.series], data.skipped)


def _source(series: AnnotatedSeries | SliceStack, cfg: PrepareConfig) -> Source:
    facts = {"phase": series.phase, "tumor": series.tumor, "tumor_type": ""}
    if isinstance(series, SliceStack):
        read = partial(make_from_slices, series, cfg)
    else:
        facts["tumor_type"] = series.tumor_type
        read = partial(make, series, cfg)
    return Source(series.id, series.patient, series.files, read, facts)


def make(series: AnnotatedSeries, cfg: PrepareConfig) -> Made:
    """Arrays and meta of one series."""
    image, label = series.read()
    image = canonical(image)
    mask = None if label is None else to_mask_slices(label, cfg)
    drawn = bool((mask == TUMOR).any()) if mask is not None and series.labels_tumors else None
    return _made(to_slices(image, cfg), mask, digest(image.array), drawn)


def make_from_slices(stack: SliceStack, cfg: PrepareConfig) -> Made:
    """Arrays and meta of one patient's slices; their digest is of the gray values."""
    size = (cfg.size, cfg.size)
    slices = stack.read()
    image = np.stack([resize_gray(gray, size) for gray, _ in slices])
    mask = np.stack([resize_mask(inside > 0, size).astype(np.uint8) for _, inside in slices])
    return _made(image, mask, digest(image), None)


def _made(
    image: UInt8[np.ndarray, "d s s"],
    mask: UInt8[np.ndarray, "d s s"] | None,
    content: str,
    tumor_drawn: bool | None,
) -> Made:
    arrays = {"image": image} if mask is None else {"image": image, "mask": mask}
    return arrays, {
        "digest": content,
        "tumor_drawn": tumor_drawn,
        "pancreas_slices": _slices_with(mask, PANCREAS),
        "tumor_slices": _slices_with(mask, TUMOR),
    }


def find_cache(
    data: Sequence[Path], workdir: Path, *, screen: ScreenConfig, cfg: PrepareConfig
) -> Path:
    """Folder of prepared series: of a cache, or of data sets that are prepared into `workdir`."""
    words = (*flags(screen, "screen"), *flags(cfg, "prepare"))
    return prepared_data.find_cache(
        data,
        _name(screen, cfg),
        prepare_into=lambda data_sets, out: prepare(data_sets, out, screen=screen, prepare=cfg),
        workdir=workdir,
        command=" ".join(("run fee prepare", *words)),
    )


def load(
    data: Sequence[Path], workdir: Path, *, screen: ScreenConfig, cfg: PrepareConfig
) -> list[PreparedSeries]:
    """Prepared series of a cache, or of data sets; see `find_cache`."""
    return open_series(find_cache(data, workdir, screen=screen, cfg=cfg))


def open_series(folder: Path) -> list[PreparedSeries]:
    """Prepared series of a cache; their pixels stay on disk."""
    return [_opened(case) for case in prepared_data.load(folder)]


def _opened(case: Case) -> PreparedSeries:
    """What tables say comes from the index, so that a mended table is seen."""
    facts: Mapping[str, Any] = case.entry.facts
    meta, arrays = case.stored.meta, case.stored.arrays
    return PreparedSeries(
        id=case.id,
        patient=case.entry.patient,
        digest=meta["digest"],
        phase=facts["phase"],
        tumor=meta["tumor_drawn"] if facts["tumor"] is None else facts["tumor"],
        tumor_type=facts["tumor_type"],
        image=arrays["image"],
        mask=arrays.get("mask"),
        pancreas_slices=tuple(meta["pancreas_slices"]),
        tumor_slices=tuple(meta["tumor_slices"]),
    )


def _name(screen: ScreenConfig, cfg: PrepareConfig) -> str:
    """Folder of a preparation: another screening or other slices, another folder."""
    return f"{fingerprint(cfg)}-{fingerprint(screen)}"


def _slices_with(mask: UInt8[np.ndarray, "d s s"] | None, id_: int) -> list[int]:
    """Numbers of the slices in which a mask has at least this id: a tumor lies in the pancreas."""
    if mask is None:
        return []
    return np.flatnonzero((mask >= id_).any(axis=(1, 2))).tolist()
