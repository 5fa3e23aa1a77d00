"""The study of NIH slices tests every patient once, and tells every fold."""

from types import SimpleNamespace

import pytest

from benchmarks.study_nih_slices import NUM_FOLDS, folds, recipe, table

PATIENTS = [f"P{number:02d}" for number in range(42)]


@pytest.mark.parametrize("scale", ["full", "two-cores"])
def test_every_patient_is_tested_once_by_a_network_that_saw_others(scale):
    # Two series of a patient, as where one was scanned twice.
    series = [SimpleNamespace(patient=patient) for patient in PATIENTS * 2]
    parts = folds(series, recipe(scale, 2))
    assert len(parts) == NUM_FOLDS
    assert sorted(p for of_fold in parts for p in of_fold.test) == PATIENTS
    for of_fold in parts:
        assert sorted((*of_fold.train, *of_fold.val, *of_fold.test)) == PATIENTS
        assert min(len(of_fold.val), len(of_fold.test)) >= 8


def test_a_longer_schedule_keeps_the_shares_of_the_paper():
    paper, longer = recipe("full", 1), recipe("full", 3)
    assert (paper.run.epochs, longer.run.epochs) == (50, 150)
    assert longer.optim.drop_epochs == 3 * paper.optim.drop_epochs
    assert longer.stop.patience == 3 * paper.stop.patience
    assert recipe("two-cores", 1).prepare.size < paper.prepare.size


def test_the_table_has_the_mean_over_all_patients_and_every_fold():
    rows = [[{"dsc": 0.2, "miou": 0.5}] * 3, [{"dsc": 0.7, "miou": 0.8}]]
    (dsc, miou) = table(rows).rows
    assert table(rows).columns[0] == "4 patients"
    # (3 · 0.2 + 0.7) / 4: the mean over patients, not that of the folds' means.
    assert dsc[1].startswith("32.5 % (95 % CI ")
    assert dsc[2] == "20.0, 70.0"
    assert miou[1].startswith("57.5 % ")
