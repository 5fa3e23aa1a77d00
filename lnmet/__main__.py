"""`python -m lnmet` is `lnmet`."""

from lnmet.cli import main

main()
