"""Votes that stop early against the full pass: `python -m benchmarks.voting RUN SCAN …`.

Windows run, seconds in turn, and whether the labels are equal, for each scan; and of windows that
show no body left out as well, in how many voxels the labels differ.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import harness, results
from core import sharding
from core.infer.load import Run
from core.io.inventory import find_scans
from core.io.paths import find_all
from core.io.scans import Scan, read_scan
from core.preprocess.intensity import window, z_score
from core.volume import canonical
from s4c.cascade import Vote
from s4c.config import Config
from s4c.infer import body_of
from s4c.networks import open_runs, voting


def main() -> None:
    """Measure every scan; print and save the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="of a recipe whose windows vote")
    parser.add_argument("scans", type=Path, nargs="+", help="files or folders")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--stride", type=int, help="default: the run's")
    args = parser.parse_args()
    ((run,),) = open_runs([args.run], allow_unfinished=True).values()
    stride = args.stride or run.cfg.infer.stride
    votes = {early: _vote(run, early, stride) for early in (False, True)}
    scans, _ = find_all(args.scans, find_scans)
    rows = [_row(scan, run.cfg, stride, votes, args.repeats) for scan in scans]
    results.save("voting", rows)


def _vote(run: Run[Config], early: bool, stride: int) -> Vote:
    cfg = replace(run.cfg, infer=replace(run.cfg.infer, early=early, stride=stride))
    return voting(cfg, *run.weights(), sharding.mesh())


def _row(
    scan: Scan, cfg: Config, stride: int, votes: dict[bool, Vote], repeats: int
) -> harness.Row:
    volume = canonical(read_scan(scan))
    image = z_score(window(volume.array, *cfg.prepare.window_hu))
    full, early = votes[False](image), votes[True](image)
    inside = votes[True](image, body=body_of(volume.array))
    row = harness.compare(
        f"{scan.id} {'×'.join(map(str, volume.shape))}, windows {cfg.data.patch}³ every {stride}",
        partial(votes[True], image),
        partial(votes[False], image),
        peer_name="every window",
        equal=lambda early, full: bool(np.array_equal(early.label, full.label)),
        repeats=repeats,
    )
    row |= {
        "windows": full.num_windows,
        "windows_early": early.num_run,
        "windows_in_body": inside.num_run,
        "voxels_changed_in_air": int(np.count_nonzero(full.label != inside.label)),
    }
    print({key: row[key] for key in list(row)[-4:]}, flush=True)
    return row


if __name__ == "__main__":
    main()
