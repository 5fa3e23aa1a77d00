"""The four pictures, and what two folds say of them."""

import pytest

from tests.eusdaf.evaluate.drawn import FOLDS, write_results, write_truth


@pytest.fixture
def truth(tmp_path):
    return write_truth(tmp_path / "truth")


@pytest.fixture
def preds(tmp_path):
    """An output for each of two folds."""
    return [write_results(tmp_path / f"pred{fold}", fold, names) for fold, names in _by_fold()]


def _by_fold():
    return [(fold, [n for n, own in FOLDS.items() if own == fold]) for fold in (0, 1)]
