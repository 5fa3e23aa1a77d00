"""Both registrations on breaths that are known: `python -m benchmarks.study_registration`.

Of each phantom the arterial phase is moved by a breath that is known at every voxel; what counts is
how far the centers of lymph nodes end from where they belong. One row a patient and method, and
both methods take turns, so that they meet the same machine.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.provenance import provenance
from core.metrics.rows import Row, column
from core.phantom.ct.phantom import make
from core.phantom.deformation import deformed, node_centers
from core.report.table import Table, to_text
from lnmet.registration.config import RegistrationConfig
from lnmet.registration.phases import METHODS, register_phases

FIRST_SEED = 1000
SHAPE, SPACING_MM = (72, 104, 128), (2.0, 2.0, 2.0)
COLUMNS = (
    *("error_before_mm", "error_after_mm", "largest_error_after_mm", "folding_percent"),
    *("inverse_consistency_mm", "seconds"),
)


def main() -> None:
    """Register everything; write the rows and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--breath-mm", type=float, default=12.0)
    args = parser.parse_args()
    facts = provenance()
    rows = [row | facts for row in registered(args.patients, args.breath_mm)]
    results.save("study-registration", rows)
    # Of the first patient the seconds are with compilation.
    print(to_text(medians(rows[len(METHODS) :])), end="")


def medians(rows: Sequence[Row]) -> Table:
    """A line for each method."""
    lines = []
    for method in METHODS:
        of_method = [row for row in rows if row["method"] == method]
        lines.append((method, *(float(np.median(column(of_method, c))) for c in COLUMNS)))
    return Table(("median of patients", *COLUMNS), lines)


def registered(num_patients: int, breath_mm: float) -> Iterator[dict[str, Any]]:
    """A row for each patient and method."""
    for seed in range(FIRST_SEED, FIRST_SEED + num_patients):
        phantom = make(seed, shape=SHAPE, spacing_mm=SPACING_MM, tumor_diameter_mm=25.0)
        moved = deformed(phantom, seed, amplitude_mm=breath_mm)
        voxels = np.rint(node_centers(phantom)).astype(int)
        for method in METHODS:
            registration = register_phases(
                phantom.images["venous"], moved.arterial, RegistrationConfig(method=method)
            )
            yield {
                "name": f"breath of {breath_mm:g} mm, phantom {seed}, {method}",
                "num_nodes": len(voxels),
                **errors(moved.field, registration.field, voxels),
                **registration.quality,
            }


def errors(true: np.ndarray, field: np.ndarray, voxels: np.ndarray) -> dict[str, float]:
    """Mean and largest distance in mm between true and found places of some voxels."""
    at = (slice(None), *voxels.T)
    spacing = np.array(SPACING_MM)[:, None]
    before = np.linalg.norm(true[at] * spacing, axis=0)
    after = np.linalg.norm((field - true)[at] * spacing, axis=0)
    return {
        "error_before_mm": float(before.mean()),
        "error_after_mm": float(after.mean()),
        "largest_error_after_mm": float(after.max()),
    }


if __name__ == "__main__":
    main()
