"""From the files of a data set to stacks of 8-bit slices on disk."""

import logging
from pathlib import Path

import numpy as np

from core.config import fingerprint, flags
from core.data import prepare as cache
from core.data.cache import open_case
from core.datasets.pancreas import PANCREAS, TUMOR
from core.errors import InputError
from fee.config import PrepareConfig, ScreenConfig
from fee.data import Case
from fee.sources import Mask, Source, find_sources

logger = logging.getLogger(__name__)

CASES_AT_A_TIME = 2
"""Each holds its volume and mask in memory: about 1 GB for 512×512×667."""


def prepare(data: Path, out: Path, *, screen: ScreenConfig, cfg: PrepareConfig) -> Path:
    """Prepare every series of a data set; what is done already stays.

    Args:
      data: a cohort (`core.datasets.patients`), NIH Pancreas-CT, an nnU-Net, MSD or PANORAMA
        folder, or one of slices and masks.
      out: cache folder; stacks of another preparation beside these are left alone.
      screen: which series of a cohort are used.
      cfg: how slices are made.

    Returns:
      Folder of this preparation.

    Raises:
      InputError: no usable series; the reason of each is logged.
    """
    folder = out / _name(screen, cfg)
    found = find_sources(data, out / "screening", screening=screen, cfg=cfg)
    by_id = {source.id: source for source in found.sources}
    index = cache.prepare(
        folder,
        {id_: source.files for id_, source in by_id.items()},
        lambda id_: make(by_id[id_]),
        skipped=found.skipped,
        num_threads=CASES_AT_A_TIME,
        report=_report,
    )
    num_used = len({file for files in index.used.values() for file in files})
    logger.info(
        "%d of %d files used: %d series of %d patients",
        num_used,
        num_used + len(index.skipped),
        len(index.used),
        len({by_id[id_].patient for id_ in index.used}),
    )
    if not index.used:
        hint = index.skipped[0].reason if index.skipped else "it is empty"
        raise InputError("has no usable series", path=data, hint=hint)
    return folder


def make(source: Source) -> cache.Made:
    """Arrays and meta of one series."""
    image, mask, tumor = source.read()
    arrays = {"image": image} if mask is None else {"image": image, "mask": mask}
    meta = {
        "patient": source.patient,
        "phase": source.phase,
        "tumor": tumor,
        "tumor_type": source.tumor_type,
        "pancreas_slices": _slices_with(mask, PANCREAS),
        "tumor_slices": _slices_with(mask, TUMOR),
    }
    return arrays, meta


def load(data: Path, workdir: Path, *, screen: ScreenConfig, cfg: PrepareConfig) -> list[Case]:
    """Prepared series of a cache, or of a data set that is prepared into `workdir` first.

    Args:
      data: what `prepare` wrote, or a data set.
      workdir: run folder.
      screen: which series of a cohort are used.
      cfg: how slices are made; a cache that was made otherwise is not used.
    """
    folder = data / _name(screen, cfg)
    if not (folder / cache.INDEX).is_file():
        if any(data.glob(f"*/{cache.INDEX}")):
            words = [*flags(screen, "screen"), *flags(cfg, "prepare")]
            raise InputError(
                "is prepared otherwise than the recipe wants",
                path=data,
                hint=f"run {' '.join(('fee prepare', *words))}",
            )
        folder = prepare(data, workdir / "prepared", screen=screen, cfg=cfg)
    return [_open(folder, id_) for id_ in cache.read_index(folder).used]


def _open(folder: Path, id_: str) -> Case:
    stored = open_case(folder, id_)
    return Case(
        id=id_,
        patient=stored.meta["patient"],
        phase=stored.meta["phase"],
        tumor=stored.meta["tumor"],
        tumor_type=stored.meta["tumor_type"],
        image=stored.arrays["image"],
        mask=stored.arrays.get("mask"),
        pancreas_slices=tuple(stored.meta["pancreas_slices"]),
        tumor_slices=tuple(stored.meta["tumor_slices"]),
    )


def _name(screen: ScreenConfig, cfg: PrepareConfig) -> str:
    """Folder of a preparation: another screening or other slices, another folder."""
    return f"{fingerprint(cfg)}-{fingerprint(screen)}"


def _slices_with(mask: Mask | None, id_: int) -> list[int]:
    """Numbers of the slices in which a mask has at least this id: a tumor lies in the pancreas."""
    if mask is None:
        return []
    return np.flatnonzero((mask >= id_).any(axis=(1, 2))).tolist()


def _report(case: str, reason: str | None) -> None:
    if reason is None:
        logger.info("prepared %s", case)
    else:
        logger.error("skipped %s: %s", case, reason)
