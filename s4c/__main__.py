"""`python -m s4c` is `s4c`."""

from s4c.cli import main

main()
