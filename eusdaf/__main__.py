"""`python -m eusdaf` is `eusdaf`."""

from eusdaf.cli import main

main()
