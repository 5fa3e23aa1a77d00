import pytest

from core.io.dicom.acquisition import Acquisition
from core.io.scans import Scan
from core.screening.patient import screen
from core.screening.series import Series
from core.screening.table import summary
from fee.config import ScreenConfig
from fee.screening import off_mm, rules
from tests.core.io.dicom.make import hu, save, slices


def reasons(screening):
    return {f.reason for f in screening.files if f.bucket != "used"}


def test_other_sizes_are_named_with_both(tmp_path):
    save(tmp_path / "a", slices(hu((10, 8, 8))))
    save(tmp_path / "b", slices(hu((10, 6, 8)), series="B"))
    screening = screen(tmp_path, rules(ScreenConfig(size=8)))
    assert [s.scan.id for s in screening.series] == ["a"]
    assert reasons(screening) == {"not 8 × 8 pixels (6 × 8)"}
    assert summary(screening).endswith("; skipped: 10 not 8 × 8 pixels")


def test_phases_that_are_not_wanted_are_named(tmp_path):
    for name in ("native", "arterial", "venous", "delayed", "x"):
        save(tmp_path / name, slices(series=name, SeriesDescription=name))
    assert [s.phase for s in screen(tmp_path, rules(ScreenConfig(size=0))).series] == [
        "arterial",
        "delayed",
        "venous",
        "unknown",
    ]
    wanted = ScreenConfig(size=0, phases=("arterial",), unknown="skip")
    screening = screen(tmp_path, rules(wanted))
    assert [s.phase for s in screening.series] == ["arterial"]
    assert reasons(screening) == {"native phase", "venous phase", "delayed phase", "unknown phase"}


def test_fewer_images_than_the_recipe_wants_are_no_volume(tmp_path):
    save(tmp_path, slices(hu((10, 8, 8))))
    kept = [
        screen(tmp_path, rules(ScreenConfig(size=0, min_slices=num))).series for num in (10, 11)
    ]
    assert [len(series) for series in kept] == [1, 0]


@pytest.mark.parametrize(
    ("thickness_mm", "expected"),
    [(3.0, 0.0), (4.0, 0.0), (5.0, 0.0), (1.0, 2.0), (7.0, 2.0), (None, 3.0)],
)
def test_slices_of_three_to_five_millimeters_are_wanted(tmp_path, thickness_mm, expected):
    series = Series(
        Scan("a", tmp_path, "dicom", ()), acquisition=Acquisition(thickness_mm=thickness_mm)
    )
    assert off_mm(series) == expected
