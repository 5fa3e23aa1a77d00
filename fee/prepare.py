"""From the files of data sets to stacks of 8-bit slices on disk."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import cli
from core.commands import prepare as prepared_data
from core.commands.prepare import Case
from core.config import fingerprint, flags
from core.datasets.label_names import require_named
from core.datasets.pancreas import pancreas_labels
from fee.config import PrepareConfig, ScreenConfig
from fee.data import PreparedSeries
from fee.dataset_readers import read_data

logger = logging.getLogger(__name__)

BYTES_PER_VOXEL = 6.2
"""In memory, of a case of whole HU with a mask: 1.1 GB for 512×512×667."""
CASES_AT_A_TIME = 2
"""Each with its `BYTES_PER_VOXEL`."""
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
    labels: str | None = None,
) -> bool:
    """Read data sets once for all networks: files to prepared slices, cached and resumable.

    Args:
      data: cohorts of DICOM folders (`core.datasets.patients`), folders of nnU-Net, MSD, NIH,
        PANORAMA, PanTS, AbdomenAtlas or TotalSegmentator, or of slices and masks.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped, and
        stacks of another preparation beside these are left alone.
      screen: which series are used, as for `diagnose`; of data sets with labels, the phases are not
        asked for.
      prepare: how a slice is made.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient, as CSV or .xlsx.
      labels: what label names of volumes mean, lesion=tumor,parenchyma=pancreas,*=background: a
        name is pancreas, tumor or background, and * all that are neither named nor known.

    Returns:
      Whether a labelled series was left out.

    Raises:
      InputError: no usable series; the reason of each is logged.
    """
    words = pancreas_labels(labels)
    sources = [
        read_data(
            root,
            out / "screening",
            screening=screen,
            cfg=prepare,
            patient_pattern=patient_pattern,
            patients=patients,
            labels=words,
        )
        for root in data
    ]
    require_named(words, [name for of_one in sources for name in of_one.label_names], data[0])
    folder = out / _name(screen, prepare)
    num_left_out = prepared_data.prepare(sources, folder, at_a_time=CASES_AT_A_TIME)
    series = open_series(folder)
    prepared_data.warn_of_empty_classes(series, CLASSES)
    if num_unknown := sum(stack.tumor is None for stack in series):
        logger.warning("of %d series it is not known whether there is a tumor", num_unknown)
    return num_left_out > 0


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
