"""One examination, from its files to organs, tumor and nodes on one grid."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from core import atomic
from core.commands.sources import digest
from core.datasets.channels import Phase
from core.errors import InputError
from core.io.labels import require_same_grid
from core.io.scans import read_scan, write_segmentation
from core.preprocess.appearance import Appearance, appearance_of
from core.screening.pairs import Pair
from core.volume import Volume, canonical
from lnmet.config import PrepareConfig
from lnmet.identification.infer import Identifier
from lnmet.labels import NAMES, organs_of
from lnmet.networks import System
from lnmet.organ_source import Source
from lnmet.phases import Phases, read_phases
from lnmet.registration.config import RegistrationConfig
from lnmet.report import overlay
from lnmet.segmentation import Grids, Segmented, attention_around, segment_volumes
from lnmet.tumor_masks import TumorMasks


class Examined(NamedTuple):
    """An examination that networks have seen.

    Args:
      phases: on one grid.
      grid: canonical volume on whose grid the answer is.
      segmented: organs, tumor and nodes.
    """

    phases: Phases
    grid: Volume
    segmented: Segmented

    @property
    def pdac_ml(self) -> float | None:
        """Volume of the tumor; None where nobody tells."""
        tumor = self.segmented.tumor
        return None if tumor is None else np.count_nonzero(tumor) * self.grid.voxel_mm3 / 1000


class Examiner(NamedTuple):
    """What looks at an examination: networks, and what is known without one.

    Args:
      system: networks that segment.
      identifier: tells which nodes are metastatic; None, nobody does.
      organs: where organs come from, if no network segments them.
      tumor: masks of it, if no network segments it.
      registration: of phases that are not registered.
    """

    system: System
    identifier: Identifier | None
    organs: Source | None
    tumor: TumorMasks | None
    registration: RegistrationConfig

    def __call__(self, pair: Pair, wanted: Collection[Phase]) -> Examined:
        """Read, register and segment.

        Args:
          pair: the examination.
          wanted: phases to read.

        Raises:
          InputError: a phase is missing or cannot be read, or a mask does not lie on its grid.
        """
        phases = read_phases(pair, wanted, self.registration)
        grid = phases.volumes.get("venous") or phases.volumes["arterial"]
        segmented = segment_volumes(
            phases.volumes,
            self.system,
            self.organs.organs(pair, phases.volumes) if self.organs else None,
            self.identifier,
            known_tumor=self._tumor(pair, grid),
        )
        return Examined(phases, grid, segmented)

    def _tumor(self, pair: Pair, grid: Volume) -> Bool[np.ndarray, "d h w"] | None:
        if self.tumor is None:
            return None
        path = self.tumor.of(pair.id)
        if path is None:
            raise InputError(f"no tumor mask of case {pair.id}", path=self.tumor.folder)
        return require_same_grid(grid, self.tumor.read(path), pair.path, path).array

    def row(self, pair: Pair, examined: Examined, folder: Path, anonymous: bool) -> dict[str, Any]:
        """Write the label map and its picture → what results.json tells of the examination."""
        label = examined.grid.with_array(examined.segmented.label)
        written = write_segmentation(folder, pair.reference, label, NAMES, anonymous=anonymous)
        picture = overlay(examined.grid, label.array, examined.segmented.attention)
        atomic.write_bytes(folder / "overlay.png", picture)
        notes = (*pair.notes, *examined.phases.notes, written.note)
        return {
            **self._measures(examined),
            "files": [path.name for path in written.files],
            "note": "; ".join(filter(None, notes)),
        }

    def _measures(self, examined: Examined) -> dict[str, Any]:
        nodes, identifier = examined.segmented.nodes, self.identifier
        positive = [n for n in nodes if identifier and identifier.is_positive(n.probability)]
        return {
            "num_nodes": len(nodes) if "nodes" in self.system else None,
            "nodes_ml": sum(node.volume_mm3 for node in nodes) / 1000,
            "largest_node_mm3": max((node.volume_mm3 for node in nodes), default=0.0),
            "num_positive_nodes": len(positive) if identifier else None,
            "largest_positive_node_mm3": max((node.volume_mm3 for node in positive), default=0.0)
            if identifier
            else None,
            "pdac_ml": examined.pdac_ml,
        }


def with_attention(examined: Examined) -> Examined:
    """The examination with its attention map, where organs are known and nobody made one."""
    segmented = examined.segmented
    if segmented.attention is not None or segmented.organs is None:
        return examined
    grids = Grids(examined.phases.volumes, PrepareConfig())
    # As the network of nodes would see it: the tumor belongs to the pancreas.
    attention = attention_around(organs_of(segmented.label), grids)
    return examined._replace(segmented=segmented._replace(attention=attention))


def details_of(examined: Examined) -> dict[str, Any]:
    """What prediction.json has besides the row: every node, and how the registration went."""
    return {
        "nodes": [node._asdict() for node in examined.segmented.nodes],
        "registration": examined.phases.quality,
    }


def digests_of(pair: Pair, examined: Examined, wanted: Collection[Phase]) -> list[str]:
    """Digests by which a run knows the examination: of the venous scan, seen or not."""
    own = [digest(examined.grid.array)]
    if "venous" not in wanted and "venous" in pair.scans:
        own.append(digest(canonical(read_scan(pair.scans["venous"])).array))
    return own


def scans_of(pair: Pair, examined: Examined) -> list[tuple[Path, Appearance]]:
    """What the scans of the phases are like, on the grid of the examination."""
    volumes = examined.phases.volumes
    return [(pair.scans[phase].path, appearance_of(volume)) for phase, volume in volumes.items()]


def summary_of(row: Mapping[str, Any]) -> str:
    """A few words about a finished examination."""
    words = []
    if row["num_nodes"] is not None:
        words.append(f"{row['num_nodes']} nodes, {row['nodes_ml']:.1f} ml")
    if row["pdac_ml"] is not None:
        words.append(f"tumor {row['pdac_ml']:.1f} ml")
    return "; ".join(words) or "organs"


def require_single(files: Sequence[Path | None], pairs: Collection[Pair]) -> None:
    """Refuse a label map that is one file where there are several examinations.

    Raises:
      InputError: a file cannot be theirs alike.
    """
    for path in files:
        if path is not None and path.is_file() and len(pairs) != 1:
            raise InputError(
                f"is one label map, and there are {len(pairs)} examinations",
                path=path,
                hint="give a folder with <case>.nii.gz for each",
            )
