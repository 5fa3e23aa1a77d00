"""`python -m fee` is `fee`."""

from fee.cli import main

main()
