"""Features of a cohort on disk."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from lnmet.radiomics import run
from lnmet.radiomics.features import Tumor
from lnmet.radiomics.names import FEATURE_NAMES, feature_names
from lnmet.radiomics.run import Case, Scan, extract, extract_all
from tests.lnmet.radiomics.golden.make import SPACING_MM, phantom
from tests.lnmet.radiomics.test_features import INSTALLED
from tests.refusals import refused

PHASES = ("arterial", "venous")


def scan(*, shift: int = 0, tumor: bool = True) -> Scan:
    hu, mask = phantom()
    return Scan({"arterial": hu + np.int16(shift), "venous": hu}, mask & tumor, SPACING_MM)


def hollow(mask: np.ndarray) -> np.ndarray:
    """Without a voxel amid the tumor; its box stays the same."""
    mask = mask.copy()
    mask[22, 27, 30] = False
    return mask


@pytest.fixture
def measured_cases(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cases in the order in which they were measured, by a stand-in for PyRadiomics."""
    measured = []

    def means(tumor: Tumor, *, case: str) -> dict[str, float]:
        measured.append(case)
        mean = float(tumor.hu[tumor.mask].mean())
        return {name: np.nan if i == 1 else mean for i, name in enumerate(FEATURE_NAMES)}

    monkeypatch.setattr(run, "phase_features", means)
    return measured


def test_two_phases_give_both_their_names():
    pytest.importorskip("radiomics", reason=INSTALLED)
    features = extract(scan(shift=7), PHASES, case="a")
    assert tuple(features) == feature_names(PHASES)
    means = [features[f"{phase}_original_firstorder_Mean"] for phase in PHASES]
    assert means[0] - means[1] == pytest.approx(7)


def test_cases_are_measured_once(tmp_path: Path, measured_cases: list[str]):
    cases = [Case("a", scan), Case("b", partial(scan, shift=3))]
    first = extract_all(cases, tmp_path, phases=PHASES)
    again = extract_all(cases, tmp_path, phases=PHASES)
    assert measured_cases == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(again.table(["b"], PHASES), first.table(["b"], PHASES))
    assert np.isnan(again.features["a"]["venous_" + FEATURE_NAMES[1]])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize(
    "changed",
    [
        scan(shift=1),
        scan()._replace(spacing_mm=(1.0, 1.0, 1.0)),
        scan()._replace(mask=hollow(scan().mask)),
    ],
    ids=["image", "spacing", "mask"],
)
def test_a_case_that_changed_is_measured_again(
    changed: Scan, tmp_path: Path, measured_cases: list[str]
):
    extract_all([Case("a", scan)], tmp_path, phases=PHASES)
    extract_all([Case("a", lambda: changed)], tmp_path, phases=PHASES)
    assert len(measured_cases) == 4


def test_a_case_that_cannot_be_measured_keeps_no_other(
    tmp_path: Path, measured_cases: list[str], caplog: pytest.LogCaptureFixture
):
    cases = [Case("none", partial(scan, tumor=False)), Case("a", scan)]
    measured = extract_all(cases, tmp_path, phases=PHASES)
    assert list(measured.features) == ["a"]
    assert "no tumor" in measured.failed["none"]
    assert "no tumor" in caplog.text
    with refused(None, "none", "no tumor"):
        measured.table(["a", "none"], PHASES)
    with refused(None, "stranger", "not measured"):
        measured.table(["stranger"], PHASES)


def test_a_table_has_a_row_for_each_case_in_the_order_asked_for(
    tmp_path: Path, measured_cases: list[str]
):
    cases = [Case("a", scan), Case("b", partial(scan, shift=3))]
    table = extract_all(cases, tmp_path, phases=PHASES).table(["b", "a"], ("arterial",))
    assert table.shape == (2, 1688)
    assert table[0, 0] - table[1, 0] == pytest.approx(3)
    assert extract_all([], tmp_path, phases=PHASES).table([], PHASES).shape == (0, 3376)


def test_a_missing_phase_is_named():
    with refused(None, "c7", "venous", hint="leave the phase out"):
        extract(scan()._replace(hu={}), ("venous",), case="c7")


def test_without_pyradiomics_the_cohort_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def missing(tumor: Tumor, *, case: str) -> dict[str, float]:
        raise InputError("radiomics features need radiomics")

    monkeypatch.setattr(run, "phase_features", missing)
    with refused(None, "radiomics"):
        extract_all([Case("a", scan), Case("b", scan)], tmp_path, phases=PHASES)


@pytest.mark.slow  # two new processes import PyRadiomics
def test_processes_change_nothing(tmp_path: Path):
    pytest.importorskip("radiomics", reason=INSTALLED)
    cases = [Case("a", scan), Case("b", partial(scan, shift=3))]
    files = []
    for number in (1, 2):
        extract_all(cases, tmp_path / str(number), phases=PHASES, num_processes=number)
        files.append([(tmp_path / str(number) / f"{case.id}.json").read_bytes() for case in cases])
    assert files[0] == files[1]
    assert len(json.loads(files[0][0])["features"]) == 3376
