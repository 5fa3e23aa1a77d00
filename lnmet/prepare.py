"""From the files of data sets to prepared cases on disk, and to the cases of a fold."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import ceil, prod
from pathlib import Path
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float16, Int16, Int32, UInt8

from core import cli
from core.commands import prepare as prepared_data
from core.commands.sources import Made, digest, sources_of
from core.config import fingerprint, flags
from core.data.patches import sample_voxels
from core.datasets.label_names import require_named
from core.names import escaped
from core.preprocess.appearance import appearance_of
from core.preprocess.crop import Box, bounding_box, crop
from core.preprocess.fingerprint import draw_foreground
from core.preprocess.regrid import Regrid
from core.random import rng
from lnmet.anatomy import attention
from lnmet.cases import LabelledCase, LabelledData, organ_maps, read_cases
from lnmet.config import PrepareConfig, Range, Target
from lnmet.data import Prepared
from lnmet.labels import (
    CLASSES,
    IGNORE,
    METASTATIC,
    PDAC,
    classes,
    lnmet_labels,
    organs_of,
)
from lnmet.nodes import annotated_nodes
from lnmet.status import patients as of_patients
from lnmet.status import pictures
from lnmet.status.table import read_status, require_agreement, table_of
from lnmet.trainable import log_trainable
from lnmet.tumor_masks import tumor_masks

logger = logging.getLogger(__name__)

LAYOUT = 2
"""Of a prepared case; another number prepares anew: 2 keeps the annotated nodes and the
tumor's slices."""
MAX_VOXELS = 10_000
"""Of a class, stored to center patches on (Ref: nnU-Net)."""
BYTES_PER_VOXEL = 30.0
"""In memory, of a case of whole HU in two phases that is resampled to about as many voxels: 5.2 GB
for 512×512×667. Beside the phases there are the splines of one in float64, or ids interpolated."""
CASES_AT_A_TIME = 1
"""Each with its `BYTES_PER_VOXEL`."""
TARGETS = get_args(Target)


def _shows(target: Target, case: Prepared) -> bool:
    return len(case.voxels[target]) > 0


CLASSES_OF_CASES = {f"with {target}": partial(_shows, target) for target in TARGETS}


def cache_name(cfg: PrepareConfig) -> str:
    """Folder of a preparation in a cache."""
    return f"{fingerprint(cfg)}-{LAYOUT}"


def prepare(
    data: cli.Data,
    out: Path,
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008 - frozen, and the flags' defaults
    *,
    organs: Path | None = None,
    label_map: str = "lnmet",
    pdac: Path | None = None,
    status: Path | None = None,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    labels: str | None = None,
) -> bool:
    """Read data sets once for all networks: files to prepared cases, cached and resumable.

    Args:
      data: folders of nnU-Net raw or MSD, arterial and venous phase on one grid; for networks of
        organs, or of the tumor, in the venous phase also PANORAMA, PanTS, AbdomenAtlas or
        TotalSegmentator.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped, and
        cases of other preparations beside these are left alone.
      prepare: grid and attention map.
      organs: label maps of the organs and vessels that the data sets do not name: <case>.nii.gz, or
        the --out of `lnmet segment`.
      label_map: what the ids of these maps mean: lnmet, totalsegmentator, totalsegmentator-v1,
        abdomenatlas, pants, amos, btcv, word, or a table with the columns organ,id.
      pdac: masks of the tumor, where the data sets do not name it: <case>.nii.gz with 1 in the
        tumor, or the --out of `lnmet segment`.
      status: table of who has a metastatic node, with the columns patient or case, status (0 or 1,
        negative or positive, pN0 to pN2) and, if wanted, ct_reported, as CSV or .xlsx; without it,
        status.csv of each data set. Where no table tells, the annotated nodes do, if metastatic
        ones are named: one is enough.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient, as CSV or .xlsx.
      labels: what label names mean, ln=lymph node,liver=background: an organ of Table II, pdac,
        lymph node, metastatic lymph node, background or ignore; * stands for all that are neither
        named nor known.

    Returns:
      Whether a labelled case was left out.

    Raises:
      InputError: no usable case, the reason of each is logged; or a table that contradicts itself.
    """
    maps = None if organs is None else organ_maps(organs, label_map)
    masks = None if pdac is None else tumor_masks(pdac)
    words = lnmet_labels(labels)
    read = [
        read_cases(
            path,
            organs=maps,
            pdac=masks,
            patient_pattern=patient_pattern,
            patients=patients,
            labels=words,
        )
        for path in data
    ]
    require_named(words, [name for of_one in read for name in of_one.label_names], data[0])
    for of_one in read:
        for note in of_one.notes:
            logger.info("%s: %s", of_one.root, note)
    folder = out / cache_name(prepare)
    sources = [
        sources_of(
            of_one, lambda case: make(case, prepare), lambda case: num_bytes(case, prepare), facts
        )
        for of_one, facts in zip(read, _facts_of(read, status), strict=True)
    ]
    num_left_out = prepared_data.prepare(sources, folder, at_a_time=CASES_AT_A_TIME)
    cases = open_cases(folder)
    prepared_data.warn_of_empty_classes(cases, CLASSES_OF_CASES)
    log_trainable(cases)
    return num_left_out > 0


def _facts_of(
    read: Sequence[LabelledData], status: Path | None
) -> Iterator[Callable[[LabelledCase], Mapping[str, bool | None]]]:
    """For each data set, what tables say of its cases."""
    if status is not None:
        table = read_status(status)
        require_agreement(table, [case for of_one in read for case in of_one.cases])
        yield from [table.facts] * len(read)
        return
    for of_one in read:
        own = table_of(of_one.root)
        if own is not None:
            require_agreement(own, of_one.cases)
        yield (lambda case: {}) if own is None else own.facts


def num_bytes(case: LabelledCase, cfg: PrepareConfig) -> int:
    """What a prepared case takes on disk: HU of every phase, label, and attention map."""
    grid = case.read_grid()
    itemsize = len(case.phases) * np.int16().itemsize + np.uint8().itemsize + np.float16().itemsize
    return prod(Regrid(grid.shape, grid.spacing_mm, cfg.spacing_mm).shape) * itemsize


def make(case: LabelledCase, cfg: PrepareConfig) -> Made:
    """Arrays and meta of one case, in canonical orientation at the spacing of the config."""
    images, label = case.read()
    grid = Regrid(label.shape, label.spacing_mm, cfg.spacing_mm)
    hu = np.stack([np.rint(grid.image(i.array)).astype(np.int16) for i in images], -1)
    ids = grid.label(label.array)
    box = organ_box(organs_of(ids) > 0, cfg)
    arrays = {"image": hu, "label": ids}
    if organs_of(ids).any():
        arrays["attention"] = attention_in(organs_of(ids), box, cfg)
    random = rng(0, *escaped(case.id).encode())  # the draw depends on the id alone
    for target in TARGETS:
        of_target = classes(ids, target)
        arrays[f"voxels_{target}"] = _some_voxels(random, of_target, len(CLASSES[target]))
        foreground = (of_target > 0) & (of_target != IGNORE)
        arrays[f"hu_{target}"] = _some_hu(random, hu, foreground)
    slices, center = pictures.to_arrays(pictures.tumor_of(hu, ids == PDAC))
    arrays |= slices
    # Where nobody tells the kinds apart, a node is of neither.
    told_apart = METASTATIC in case.annotated
    arrays["nodes"] = annotated_nodes(ids) if told_apart else np.empty((0, 5), np.int32)
    venous = images[case.phases.index("venous")] if "venous" in case.phases else images[0]
    meta = {
        "digest": digest(venous.array),
        "scans": [appearance_of(image)._asdict() for image in images],
        "phases": case.phases,
        "annotated": sorted(case.annotated),
        "box": box,
        **center,
    }
    return arrays, meta


def organ_box(organs: Bool[np.ndarray, "d h w"], cfg: PrepareConfig) -> Box:
    """Box of the organs and their margin; of the whole case where there is none."""
    box = bounding_box(organs)
    if box is None:
        return Box((0, 0, 0), organs.shape)
    margins = [ceil(cfg.margin_mm / mm) for mm in cfg.spacing_mm]
    start = (max(0, a - m) for a, m in zip(box.start, margins, strict=True))
    stop = (min(n, b + m) for b, m, n in zip(box.stop, margins, organs.shape, strict=True))
    return Box(tuple(start), tuple(stop))


_attention = jax.jit(attention, static_argnums=(1, 2))  # compiled once for a shape


def attention_in(
    organs: UInt8[np.ndarray, "d h w"], box: Box, cfg: PrepareConfig
) -> Float16[np.ndarray, "d h w"]:
    """Attention map of a case, computed in the box: it is 0 outside, where the margin is wide."""
    ranges = tuple(Range(*pair) for pair in cfg.ranges_mm)
    whole = np.zeros(organs.shape, np.float16)
    crop(whole, box)[...] = np.asarray(
        _attention(jnp.asarray(crop(organs, box)), cfg.spacing_mm, ranges)
    )
    return whole


def _some_voxels(
    random: np.random.Generator, label: UInt8[np.ndarray, "d h w"], num_classes: int
) -> Int32[np.ndarray, "n 4"]:
    """Class and index of some voxels of each class but the background."""
    rows = [np.empty((0, 4), np.int32)]
    for class_ in range(1, num_classes):
        voxels = sample_voxels(random, label == class_, MAX_VOXELS)
        rows.append(np.insert(voxels, 0, class_, axis=1))
    return np.concatenate(rows)


def _some_hu(
    random: np.random.Generator,
    hu: Int16[np.ndarray, "d h w c"],
    foreground: Bool[np.ndarray, "d h w"],
) -> Int16[np.ndarray, "c n"]:
    return np.stack(
        [draw_foreground(random, hu[..., c], foreground) for c in range(hu.shape[-1])]
    ).astype(np.int16)


def find_cache(
    data: Sequence[Path],
    cfg: PrepareConfig,
    workdir: Path,
    *,
    organs: Path | None = None,
    label_map: str = "lnmet",
) -> Path:
    """Folder of prepared cases: of a cache, or of data sets that are prepared into `workdir`.

    Args:
      data: one cache, or data sets.
      cfg: grid and attention map.
      workdir: run folder.
      organs: as of `prepare`, for data sets.
      label_map: likewise.
    """
    return prepared_data.find_cache(
        data,
        cache_name(cfg),
        prepare_into=lambda data_sets, out: prepare(
            data_sets, out, cfg, organs=organs, label_map=label_map
        ),
        workdir=workdir,
        command=" ".join(("run lnmet prepare", *flags(cfg, "prepare"))),
    )


def open_cases(folder: Path) -> list[Prepared]:
    """Prepared cases of a cache; their voxels stay on disk until a patch is cut.

    The status of a patient is what a table tells; where none does, the annotated nodes do.
    """
    return of_patients.with_status([_opened(case) for case in prepared_data.load(folder)])


def _opened(case: prepared_data.Case) -> Prepared:
    arrays, meta = case.stored.arrays, case.stored.meta

    def of_targets(name: str) -> Mapping[Target, np.ndarray]:
        return {target: arrays[f"{name}_{target}"][...] for target in TARGETS}

    return Prepared(
        id=case.id,
        patient=case.entry.patient,
        digest=meta["digest"],
        phases=tuple(meta["phases"]),
        image=arrays["image"],
        label=arrays["label"],
        attention=arrays.get("attention"),
        box=Box(*map(tuple, meta["box"])),
        voxels=of_targets("voxels"),
        hu=of_targets("hu"),
        annotated=frozenset(meta["annotated"]),
        nodes=arrays["nodes"][...],
        tumor=pictures.from_arrays(arrays, meta),
        **case.entry.facts,
    )
