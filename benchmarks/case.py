"""One whole case and a peer: `python -m benchmarks.case s4c --peer monai`, or fee, or nnunet."""

import argparse
from importlib import import_module

from benchmarks import harness

PEERS = {"s4c": "monai", "fee": "torch", "nnunet": "nnunetv2"}


def main() -> None:
    """Run both sides in turn; print and save the rows."""
    data = harness.data_folder()
    parser = argparse.ArgumentParser(description=__doc__)
    systems = parser.add_subparsers(dest="system", required=True)
    for name, peer in PEERS.items():
        system = import_module(f"benchmarks.cases.{name}")
        about = system.__doc__.partition("\n")[0]
        command = systems.add_parser(name, help=about, description=system.__doc__)
        command.add_argument("--peer", choices=[peer], default="")
        command.add_argument("--repeats", type=int, default=3)
        system.add_arguments(command, data)
        command.set_defaults(measure=system.measure)
    args = parser.parse_args()
    args.measure(args)


if __name__ == "__main__":
    main()
