"""Voxels of each scan's own size, or of one size: `python -m benchmarks.study_spacing`.

Phantoms of the same patients at two spacings. A network learns from those of one spacing, in the
voxels that the scans have or resampled to 4 mm, and screens other patients at both spacings. K is a
volume in every network. Whatever is done already stays: call it again after an interruption.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import harness, results
from benchmarks.provenance import provenance
from core.report.table import Table, percent, to_text
from s4c.config import Config
from s4c.demo import write_phantoms
from s4c.evaluate import evaluate
from s4c.infer import screen
from s4c.recipes import SEGMENTATION
from s4c.train import train

logger = logging.getLogger(__name__)

RECIPE = "tiny-pnet-arterial"
COMMON_MM = 4.0
"""Spacing that the recipe is made for."""
SPACINGS_MM = (2.5, COMMON_MM)
COHORTS = {"learned": (6, 30), "new": (7, 20)}
"""Seed and patients of those to learn from, and of those to screen."""
POLICIES = {"own voxels": None, f"{COMMON_MM:g} mm": (COMMON_MM,) * 3}
"""`prepare.spacing_mm`."""
MEASURES = ("pancreas_dsc", "tumor_dsc", "sensitivity", "specificity")


class Trained(NamedTuple):
    """A network: how it was prepared for, and the spacing of what it learned from."""

    policy: str
    spacing_mm: float

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.policy.replace(' ', '-')}-from-{self.spacing_mm:g}"


def main() -> None:
    """Train, screen and evaluate everything; write the rows and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/study-spacing"))
    parser.add_argument("--steps", type=int, default=700)
    args = parser.parse_args()
    harness.talk(__name__, "core", "s4c")
    data = {spacing: _phantoms(args.out, spacing) for spacing in SPACINGS_MM}
    networks = [Trained(policy, spacing) for policy in POLICIES for spacing in SPACINGS_MM]
    rows = [row for network in networks for row in _rows(network, data, args)]
    facts = provenance()
    results.save("study-spacing", [row | facts for row in rows])
    print(to_text(table(rows)), end="")


def recipe(network: Trained, steps: int) -> Config:
    """The recipe in the network's voxels, with K as a volume: that of its voxels of 4 mm."""
    cfg = SEGMENTATION[RECIPE]
    return replace(
        cfg,
        run=replace(cfg.run, steps=steps),
        prepare=replace(cfg.prepare, spacing_mm=POLICIES[network.policy]),
        decision=replace(cfg.decision, voxel_mm=COMMON_MM),
    )


def _phantoms(out: Path, spacing_mm: float) -> dict[str, Path]:
    folders = {name: out / f"{name}-{spacing_mm:g}" for name in COHORTS}
    for name, (seed, num_cases) in COHORTS.items():
        if not folders[name].exists():
            write_phantoms(
                folders[name],
                num_cases=num_cases,
                seed=seed,
                paper="pnet",
                spacing_mm=spacing_mm,
                tumor_fraction=0.6,
                diameters_mm=(12.0, 45.0),
            )
    return folders


def _rows(
    network: Trained, data: Mapping[float, Mapping[str, Path]], args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """One network at every spacing."""
    run = args.out / "runs" / network.name
    train(
        recipe(network, args.steps), [data[network.spacing_mm]["learned"]], run, resume=run.exists()
    )
    for spacing, cohorts in data.items():
        pred = args.out / f"screened-{network.name}-at-{spacing:g}"
        screen([cohorts["new"]], runs=[run], out=pred)
        metrics = evaluate([pred], [cohorts["new"]], args.out / f"evaluated-{pred.name}")
        (group,) = metrics["groups"].values()
        yield {
            "name": f"{RECIPE} {args.steps} steps, {network.name}, at {spacing:g}",
            "policy": network.policy,
            "learned_at_mm": network.spacing_mm,
            "screened_at_mm": spacing,
            **{name: group[name] for name in MEASURES},
            **{f"{name}_ci": list(group[f"{name}_ci"]) for name in MEASURES[2:]},
        }


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each network and spacing."""
    columns = ("voxels", "learned at", "screened at")
    columns += ("pancreas DSC", "tumor DSC", "sensitivity", "specificity")
    return Table(
        columns,
        [
            (
                row["policy"],
                f"{row['learned_at_mm']:g} mm",
                f"{row['screened_at_mm']:g} mm",
                *(percent(row[name]) for name in MEASURES),
            )
            for row in rows
        ],
    )


if __name__ == "__main__":
    main()
