"""Ranges of attention, fitted to the lymph nodes of a training set (Sec. III-A, Table II)."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, floor
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped, UInt8

from core import cli
from core.commands import prepare as prepared_data
from core.config import flags
from core.errors import InputError
from core.preprocess.crop import bounding_box, crop
from core.preprocess.resample import coarse_axis, resample_label, shape_at
from core.report.table import Table, to_text
from lnmet.anatomy import fit_ranges, pool_ranges
from lnmet.cases import OrganMaps, organ_maps
from lnmet.config import ORGANS, TABLE_II, PrepareConfig, Range, SplitConfig
from lnmet.data import Prepared
from lnmet.labels import METASTATIC, NODE, has_target, organs_of
from lnmet.parts import parts_of
from lnmet.prepare import cache_name, open_cases

logger = logging.getLogger(__name__)

Spacing = tuple[float, float, float]

MULTIPLE = 32
"""Voxels by which the sizes of a box grow: few shapes, few programs."""
STEP_MM = 0.1
"""To which ranges are widened."""


def ranges(
    data: cli.Data,
    split: SplitConfig = SplitConfig(),  # noqa: B008 - frozen, and the flags' defaults
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008
    *,
    fold: int | None = None,
    organs: Path | None = None,
    label_map: str = "lnmet",
) -> None:
    """Fit the distances of attention to the nodes of prepared cases.

    Prints the least and largest distance of annotated nodes to the organ that is nearest to them,
    Table II beside it, and the flags that prepare and train with these ranges. A label map tells
    one thing of a voxel: none of its nodes lies inside an organ, as some of Table II do. Organs
    that are kept apart tell what is below a node.

    Args:
      data: what `prepare` wrote.
      split: folds of the training, as for `train`.
      prepare: as the cases were prepared.
      fold: that the training holds out; its cases are not looked at, nor those to validate on.
      organs: label maps of organs and vessels that count where a node is annotated, as for
        `prepare`.
      label_map: what the ids of these maps mean, as for `prepare`.

    Raises:
      InputError: no prepared cases, no such fold, no label map of a case, or no node and organ in
        the training part.
    """
    maps = None if organs is None else organ_maps(organs, label_map)
    folder = prepared_data.find_cache(
        data,
        cache_name(prepare),
        prepare_into=_refuse,
        workdir=Path(),
        command=" ".join(("run lnmet prepare", *flags(prepare, "prepare"))),
    )
    cases = {c.id: c for c in open_cases(folder) if has_target(c.annotated, "nodes")}
    if not cases:
        raise InputError("no case is annotated with nodes", path=folder)
    parts = parts_of(folder, cases, fold, split)
    of_cases = [ranges_of(cases[id_], prepare.spacing_mm, maps) for id_ in parts.train]
    table = ranges_table(of_cases)
    if all(row[1] is None for row in table.rows):
        raise InputError("shows no node beside an organ", path=folder)
    fitted = replace(prepare, ranges_mm=tuple(map(widened, pool_ranges(of_cases))))
    print(to_text(table), end="")
    print(" ".join(flags(fitted, "prepare")))
    logger.info("fitted to %d cases, %d others left out", len(of_cases), len(cases) - len(of_cases))


def ranges_of(
    case: Prepared, spacing_mm: Spacing, maps: OrganMaps | None = None
) -> Float[np.ndarray, "k 2"]:
    """Least and largest distance in mm of a case's nodes to each organ; see `fit_ranges`.

    What lies beyond the scan is no organ.

    Args:
      case: prepared.
      spacing_mm: of its voxels.
      maps: organs at the voxels of its nodes; without, these are in no organ.
    """
    label = case.label[...]
    nodes, organs = (label == NODE) | (label == METASTATIC), organs_of(label)
    if maps is not None:
        organs = np.where(nodes, _organs_below(case, spacing_mm, maps), organs)
    box = bounding_box(nodes | (organs > 0))
    if box is None:
        return np.tile([np.inf, -np.inf], (len(ORGANS), 1))
    # The organ that is nearest to a node lies in the box, and what bounds it in the margin.
    near, own = (jnp.asarray(_padded(crop(array, box))) for array in (organs, nodes))
    return fit_ranges(near, own, spacing_mm)


def _organs_below(
    case: Prepared, spacing_mm: Spacing, maps: OrganMaps
) -> UInt8[np.ndarray, "d h w"]:
    """Organs of a label map on the grid of a prepared case."""
    stored = maps.read(case.id)
    shape = shape_at(stored.shape, stored.spacing_mm, spacing_mm)
    if shape != case.label.shape:
        raise InputError(f"does not lie on the grid of case {case.id}", path=maps.of(case.id))
    axis = coarse_axis(stored.spacing_mm, spacing_mm)
    return resample_label(stored.array, shape, axis=axis).astype(np.uint8)


def ranges_table(of_cases: Sequence[Float[np.ndarray, "k 2"]]) -> Table:
    """Of each organ the fitted range, Table II and the cases with a node that is nearest to it."""
    rows = []
    for k, (organ, paper) in enumerate(TABLE_II.items()):
        own = [case[k].tolist() for case in of_cases if case[k, 0] <= case[k, 1]]
        least = min((low for low, _ in own), default=None)
        largest = max((high for _, high in own), default=None)
        rows.append((organ, least, largest, f"{paper.min_mm:g} … {paper.max_mm:g}", len(own)))
    return Table(("organ", "least mm", "largest mm", "Table II", "cases"), rows)


def widened(fitted: Range) -> tuple[float, float]:
    """Range in tenths of a millimetre that holds the fitted one."""
    low, high = (round(v / STEP_MM, 6) for v in fitted)
    return round(floor(low) * STEP_MM, 1), round(ceil(high) * STEP_MM, 1)


def _padded(array: Shaped[np.ndarray, "d h w"]) -> Shaped[np.ndarray, "e i j"]:
    return np.pad(array, [(1, 1 + -(n + 2) % MULTIPLE) for n in array.shape])


def _refuse(data: Sequence[Path], out: Path) -> None:
    raise InputError("holds no prepared cases", path=data[0], hint="run lnmet prepare first")
