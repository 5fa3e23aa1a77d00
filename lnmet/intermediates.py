"""What lies between the scans and the answer, on disk, and can be given back to `lnmet stage`."""

from pathlib import Path

import numpy as np

from core.csv_io import write_csv
from core.io import nifti
from core.io.scans import read_grid
from core.screening.pairs import Pair
from core.volume import Volume, reorient
from lnmet.examination import Examined

NODES = "nodes.csv"


def write_intermediates(folder: Path, pair: Pair, examined: Examined) -> list[str]:
    """Write volumes on the grid of the reference scan → their names.

    `arterial.nii.gz` where it was registered, which --arterial and --registered take;
    `organs.nii.gz`, which --organs takes; `tumor.nii.gz`, which --pdac takes; and
    `attention.nii.gz`, which follows from the organs; as far as they are known.
    """
    grid, segmented = examined.grid, examined.segmented
    volumes: dict[str, Volume] = {}
    if examined.phases.quality is not None:
        volumes["arterial"] = examined.phases.volumes["arterial"]
    if segmented.organs is not None:
        volumes["organs"] = grid.with_array(segmented.organs)
    if segmented.attention is not None:
        volumes["attention"] = grid.with_array(segmented.attention.astype(np.float32))
    if segmented.tumor is not None:
        volumes["tumor"] = grid.with_array(segmented.tumor.astype(np.uint8))
    direction = read_grid(pair.reference).direction
    return [
        nifti.write(folder / f"{name}.nii.gz", reorient(volume, direction)).name
        for name, volume in volumes.items()
    ]


def write_nodes(folder: Path, examined: Examined) -> list[str]:
    """Write nodes.csv, a row for each lymph node → its name; none where there is no node."""
    rows = []
    for node in examined.segmented.nodes:
        row = node._asdict()
        x, y, z = row.pop("center_mm")
        rows.append({**row, "x_mm": x, "y_mm": y, "z_mm": z})
    if not rows:
        (folder / NODES).unlink(missing_ok=True)  # of an earlier call
        return []
    write_csv(folder / NODES, rows)
    return [NODES]
