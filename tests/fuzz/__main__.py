"""`python -m tests.fuzz [--minutes M] [--seed S] [--finds DIR] [TARGET …]`."""

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.campaign import campaign, child
from tests.fuzz.targets import TARGETS


def main() -> int:
    """Fuzz for a while; 1 where a target showed a fault."""
    if sys.argv[1:2] == ["--child"]:
        target, work, seconds, seed, most = sys.argv[2:]
        child(target, Path(work), float(seconds), int(seed), int(most))
        return 0
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", default=[], help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=60, help="in all")
    parser.add_argument("--seed", type=int, default=None, help="of the draws; new ones without")
    parser.add_argument("--finds", type=Path, default=Path("out/fuzz"), help="inputs of faults")
    args = parser.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        parser.error(f"no target {sorted(unknown)[0]!r}")
    seed = int(time.time()) if args.seed is None else args.seed
    return int(campaign(args.targets or list(TARGETS), args.minutes, args.finds, seed=seed) > 0)


if __name__ == "__main__":
    sys.exit(main())
