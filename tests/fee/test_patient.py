"""One patient with networks that answer as told: series that fail, and slices that nobody keeps."""

import numpy as np
import pytest

from core.errors import InputError
from core.io.nifti import read_label, write
from core.io.scans import Scan
from core.volume import CANONICAL_DIRECTION, Volume
from fee.decision import NO_SLICE
from fee.examine import SLICES_AT_ONCE, Stopwatch, examine
from fee.networks import Bundle
from fee.patient import NUM_EXPLAINED, diagnose_patient
from fee.screening import Series
from tests.fee.tiny import MODELS, SIZE, config

NUM = 6
SQUARE = np.zeros((SIZE, SIZE), np.float32)
SQUARE[8:16, 8:16] = 1


def bundle(keep=lambda d: d % 2 == 0) -> Bundle:
    """Keeps slices by their number, finds a square, and takes the number for the probability."""
    return Bundle(
        {task: config(task) for task in MODELS},
        locate=lambda image, mask: np.array([float(keep(d)) for d in range(len(image))]),
        segment=lambda image, mask: np.repeat(SQUARE[None], len(image), axis=0),
        diagnose=lambda image, mask: np.arange(len(image)) / max(len(image), 1),
        explain=lambda image, mask, decision: np.ones((SIZE, SIZE), np.float32),
    )


@pytest.fixture
def series(tmp_path) -> list[Series]:
    """Two phases as NIfTI, 20 voxels a side."""
    found = []
    for phase in ("arterial", "venous"):
        hu = np.random.default_rng(0).integers(-100, 240, (NUM, 20, 20)).astype(np.int16)
        path = tmp_path / f"{phase}.nii.gz"
        write(path, Volume(hu, (5.0, 2.0, 2.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION))
        found.append(Series(Scan(phase, path, "nifti", (path,)), phase, "file name"))
    return found


def test_all_phases_decide_together_and_each_has_its_mask(series, tmp_path):
    out = tmp_path / "out"
    row = diagnose_patient(series, bundle(), out, Stopwatch())
    assert row["score"] == pytest.approx((0 + 1 / 3 + 2 / 3) / 3)
    assert (row["decision"], row["num_slices"], row["num_kept"]) == ("normal", 2 * NUM, NUM)
    # The least probable slices of both phases speak most for "normal".
    assert [one["tumor"] for one in row["explained"]] == [0, 0, 1 / 3]
    assert len(list(out.glob("saliency_*.png"))) == NUM_EXPLAINED
    for phase in ("arterial", "venous"):
        label = read_label(out / phase / "segmentation.nii.gz").array
        assert label.shape == (NUM, 20, 20)
        assert label[::2].any(axis=(1, 2)).all()
        assert not label[1::2].any()


def test_without_a_kept_slice_the_patient_is_normal_and_the_note_says_why(series, tmp_path):
    row = diagnose_patient(series, bundle(lambda d: False), tmp_path / "out", Stopwatch())
    assert (row["decision"], row["score"], row["note"]) == ("normal", 0.0, NO_SLICE)
    assert row["explained"] == []
    assert all(np.isnan(phase["mean_probability"]) for phase in row["phases"])
    assert (tmp_path / "out" / "overlay.png").is_file()


def test_a_series_that_cannot_be_read_leaves_the_others(series, tmp_path, caplog):
    path = series[0].scan.path
    path.write_bytes(path.read_bytes()[:300])
    row = diagnose_patient(series, bundle(), tmp_path / "out", Stopwatch())
    assert [phase["status"] for phase in row["phases"]] == ["failed", "done"]
    assert (row["num_failed_series"], row["num_slices"]) == (1, NUM)
    assert row["phases"][0]["error"] in caplog.messages


def test_a_patient_without_any_readable_series_has_failed(series, tmp_path):
    for one in series:
        one.scan.path.write_bytes(one.scan.path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"arterial\.nii\.gz"):
        diagnose_patient(series, bundle(), tmp_path / "out", Stopwatch())


def test_many_slices_are_segmented_in_parts_and_all_of_them():
    image = np.zeros((SLICES_AT_ONCE + 3, SIZE, SIZE), np.uint8)
    sizes = []
    some = bundle(lambda d: True)
    counted = some._replace(
        segment=lambda image, mask: sizes.append(len(image)) or some.segment(image, mask)
    )
    watch = Stopwatch()
    seen = examine(image, counted, watch)
    assert sizes == [SLICES_AT_ONCE, 3]
    np.testing.assert_array_equal(seen.mask, np.broadcast_to(SQUARE, image.shape))
    assert set(watch) == {"locate", "segment", "diagnose"}
