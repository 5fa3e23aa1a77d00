"""Damaged and hostile files: every reader answers with a value or an InputError, in time.

`python -m tests.fuzz --minutes 60` divides an hour among the targets; `make test-slow` ten minutes.
"""
