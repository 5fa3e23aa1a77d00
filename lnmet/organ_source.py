"""Where organs and vessels come from when no network of LNMet segments them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from core.datasets.channels import Phase, phases_of
from core.io.labels import require_same_grid
from core.io.scans import read_grid
from core.nnunet.predict import NnUNet, load
from core.nnunet.predict import segment as segment_case
from core.screening.pairs import Pair
from core.volume import Volume, canonical, reorient
from lnmet.cases import OrganMaps, organ_maps
from lnmet.labels import PDAC, Meaning, meaning, organs_of

Organs = Callable[[Pair, Mapping[Phase, Volume]], UInt8[np.ndarray, "d h w"]]
"""(examination, its canonical phases on one grid) → ids 1 … 10 on that grid."""


class Source(NamedTuple):
    """Where organs come from, the ids that it tells of, and the phases that this takes."""

    organs: Organs
    annotated: frozenset[int]
    phases: tuple[Phase, ...] = ()


def organ_source(folder: Path, label_map: str) -> Source:
    """Organs from label maps that exist, or from a model that somebody trained with nnU-Net.

    Args:
      folder: of label maps, or a model folder of nnU-Net (plans.json or plans.pkl).
      label_map: what the ids of label maps mean; a model names its labels itself.

    Raises:
      InputError: the folder is neither, or the model knows none of the organs.
    """
    if is_model(folder):
        network = load(folder)
        phases, ids = _phases(network, folder), meaning(network.plans.labels, folder)
        return Source(_by_model(network, ids, phases), ids.annotated & set(range(1, PDAC)), phases)
    maps = organ_maps(folder, label_map)
    return Source(_by_maps(maps), maps.annotated)


def is_model(folder: Path) -> bool:
    """Whether a folder is a model of nnU-Net."""
    return any((folder / name).is_file() for name in ("plans.json", "plans.pkl"))


def _by_maps(maps: OrganMaps) -> Organs:
    def organs(pair: Pair, volumes: Mapping[Phase, Volume]) -> UInt8[np.ndarray, "d h w"]:
        grid = next(iter(volumes.values()))
        return require_same_grid(grid, maps.read(pair.id), pair.path, maps.of(pair.id)).array

    return organs


def _by_model(network: NnUNet, ids: Meaning, phases: tuple[Phase, ...]) -> Organs:
    def organs(pair: Pair, volumes: Mapping[Phase, Volume]) -> UInt8[np.ndarray, "d h w"]:
        # nnU-Net sees the axes as the files have them.
        stored = read_grid(pair.reference).direction
        label = segment_case(network, [reorient(volumes[phase], stored) for phase in phases])
        return organs_of(ids(canonical(label).array))

    return organs


def _phases(network: NnUNet, folder: Path) -> tuple[Phase, ...]:
    names = [channel.name for channel in network.plans.channels]
    return phases_of(names, folder / "dataset.json")
