"""What a study is of: its cases, and the networks that it trains on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core import config
from core.config import fingerprint
from lnmet.config import PrepareConfig
from lnmet.data import Prepared
from lnmet.organ_source import is_model
from lnmet.prepare import find_cache
from lnmet.recipes import RECIPES, AnyConfig

SEGMENTATION = ("organs", "nodes", "nodes-no-attention")
STATUS = ("status", "status-no-nodes", "status-deepten", "status-resnet2d", "status-resnet3d")
NETWORKS = (*SEGMENTATION, "identification", *STATUS)
"""Recipes of the paper, in the order in which they depend on one another."""


class Plan(NamedTuple):
    """A study.

    Args:
      data: annotated data sets.
      cache: what `lnmet prepare` wrote of them.
      cfgs: of the networks, by the name of the paper's recipe.
      organs: label maps of organs and vessels, or a model of nnU-Net; None, a network of ours.
      label_map: what the ids of these maps mean.
      features: folder of the cases' radiomics features, which folds share.
      lacking: why a network cannot be trained on these cases; None where it can.
    """

    data: Sequence[Path]
    cache: Path
    cfgs: Mapping[str, AnyConfig]
    organs: Path | None
    label_map: str
    features: Path
    lacking: Mapping[str, str | None]

    def lack(self, name: str) -> str | None:
        """Why a network cannot be trained on these cases; None where it can."""
        return self.lacking[self.cfgs[name].data.target]


class Asked(NamedTuple):
    """Cases that a fold is asked about.

    Args:
      cases: prepared, of a known status.
      files: source files of each by its id.
      parts: of the fold, "train", "val" or "test", by id; none of other data sets.
      features: folder of their radiomics features.
    """

    cases: Sequence[Prepared]
    files: Mapping[str, Sequence[Path]]
    parts: Mapping[str, str]
    features: Path

    def part(self, name: str) -> list[Prepared]:
        """Cases of one part."""
        return [case for case in self.cases if self.parts.get(case.id) == name]


def networks(tiny: bool, choices: Mapping[str, Any]) -> dict[str, AnyConfig]:
    """Configs by the name of the paper's recipe.

    Args:
      tiny: take the recipes for two cores.
      choices: overrides of all of them, "section.field" → value.
    """
    prefix = "tiny-" if tiny else ""
    return {name: config.overridden(RECIPES[f"{prefix}{name}"], choices) for name in NETWORKS}


def preparations(cfgs: Mapping[str, AnyConfig]) -> list[PrepareConfig]:
    """Grids that the networks want, that of the status first."""
    ordered = [cfgs["status"].prepare, *(cfg.prepare for cfg in cfgs.values())]
    return list({fingerprint(cfg): cfg for cfg in ordered}.values())


def prepare_all(
    data: Sequence[Path],
    cfgs: Mapping[str, AnyConfig],
    workdir: Path,
    *,
    organs: Path | None,
    label_map: str,
) -> Path:
    """Folder of the cases as the networks of the status see them, in a cache with all grids.

    Args:
      data: a cache, or data sets that are prepared into `workdir`.
      cfgs: of the networks.
      workdir: OUT.
      organs: as of `lnmet prepare`, where it is a folder of label maps.
      label_map: likewise.
    """
    maps = None if organs is None or is_model(organs) else organs
    folders = [
        find_cache(data, cfg, workdir, organs=maps, label_map=label_map)
        for cfg in preparations(cfgs)
    ]
    return folders[0]
