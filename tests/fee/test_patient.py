"""One patient with networks that answer as told: series that fail, and slices that nobody keeps."""

import json
import re

import numpy as np
import pytest

from core.errors import InputError
from core.io.nifti import read_label, write
from core.io.scans import Scan, VolumeCache
from core.screening.series import Series
from core.volume import CANONICAL_DIRECTION, Volume
from fee.networks import Bundle
from fee.patient import NUM_EXPLAINED, diagnose_study
from fee.predict_series import NO_PANCREAS, NO_SLICE, Stopwatch
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
    phases = []
    for phase in ("arterial", "venous"):
        hu = np.random.default_rng(0).integers(-100, 240, (NUM, 20, 20)).astype(np.int16)
        path = tmp_path / f"{phase}.nii.gz"
        write(path, Volume(hu, (5.0, 2.0, 2.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION))
        phases.append(Series(Scan(phase, path, "nifti", (path,)), phase, "file name"))
    return phases


def test_all_phases_decide_together_and_each_has_its_mask(series, tmp_path):
    out = tmp_path / "out"
    row, digests, details, scans = diagnose_study(series, bundle(), out, Stopwatch())
    assert len(set(digests)) == 1  # both have the same voxels
    assert len({appearance for _, appearance in scans}) == 1
    assert [len(phase["slices"]) for phase in details["phases"]] == [NUM, NUM]
    assert row["score"] == pytest.approx((0 + 1 / 3 + 2 / 3) / 3)
    assert (row["decision"], row["num_slices"], row["num_kept"]) == ("normal", 2 * NUM, NUM)
    # The least probable slices of both phases speak most for "normal".
    assert [slice_["tumor"] for slice_ in row["explained"]] == [0, 0, 1 / 3]
    assert len(list(out.glob("saliency_*.png"))) == NUM_EXPLAINED
    for phase in ("arterial", "venous"):
        label = read_label(out / phase / "segmentation.nii.gz").array
        assert label.shape == (NUM, 20, 20)
        assert label[::2].any(axis=(1, 2)).all()
        assert not label[1::2].any()


def test_the_page_shows_all_series_and_leads_to_the_slices_that_decided(series, tmp_path):
    out = tmp_path / "out"
    row = diagnose_study(series, bundle(), out, Stopwatch()).row
    page = (out / row["page"]).read_text()
    assert re.findall(r"<h2>(arterial|venous)</h2>", page) == ["arterial", "venous"]
    listed = [f"{e['series']}, slice {e['slice'] + 1}" for e in row["explained"]]
    assert re.findall(r'name="finding"[^>]*>(.*?)<', page) == listed
    scene = json.loads(re.search(r'id="scene">(.*?)</script>', page)[1])
    # The square of pixels 8 … 15 of 32, on 20 voxels of 2 mm; the first is centered at 0.
    middle_mm = 12 / SIZE * 20 * 2.0 - 1.0
    expected = [[middle_mm, middle_mm, 5.0 * e["slice"]] for e in row["explained"]]
    np.testing.assert_allclose(scene["centers"], expected)


def test_the_page_shows_the_series_that_can_be_read(series, tmp_path, caplog):
    path = series[0].scan.path
    path.write_bytes(path.read_bytes()[:300])
    row = diagnose_study(series, bundle(lambda d: False), tmp_path / "out", Stopwatch()).row
    page = (tmp_path / "out" / row["page"]).read_text()
    assert re.findall(r"<h2>(arterial|venous)</h2>", page) == ["venous"]
    assert NO_SLICE in page
    assert 'name="finding"' not in page


def test_without_a_kept_slice_the_patient_is_normal_and_the_note_says_why(series, tmp_path):
    row = diagnose_study(series, bundle(lambda d: False), tmp_path / "out", Stopwatch()).row
    assert (row["decision"], row["score"], row["note"]) == ("normal", 0.0, NO_SLICE)
    assert row["explained"] == []
    assert all(np.isnan(phase["mean_probability"]) for phase in row["phases"])
    assert (tmp_path / "out" / "overlay.png").is_file()


def test_a_series_that_cannot_be_read_leaves_the_others(series, tmp_path, caplog):
    path = series[0].scan.path
    path.write_bytes(path.read_bytes()[:300])
    row = diagnose_study(series, bundle(), tmp_path / "out", Stopwatch()).row
    assert [phase["status"] for phase in row["phases"]] == ["failed", "done"]
    assert (row["num_failed_series"], row["num_slices"]) == (1, NUM)
    assert row["phases"][0]["error"] in caplog.messages


def test_a_patient_without_any_readable_series_has_failed(series, tmp_path):
    for stack in series:
        stack.scan.path.write_bytes(stack.scan.path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"arterial\.nii\.gz"):
        diagnose_study(series, bundle(), tmp_path / "out", Stopwatch())


def test_a_volume_that_screening_read_is_not_read_again(series, tmp_path, monkeypatch):
    volumes = VolumeCache()
    for one in series:
        volumes.read(one.scan)
    monkeypatch.setattr("core.io.scans.read_scan", None)
    answer = diagnose_study(series, bundle(), tmp_path / "out", Stopwatch(), volumes=volumes)
    assert answer.row["num_failed_series"] == 0


def test_slices_without_segmented_pancreas_are_counted_and_noted(series, tmp_path):
    nothing = bundle()._replace(segment=lambda image, mask: np.zeros((len(image), SIZE, SIZE)))
    row, _, details, _ = diagnose_study(series, nothing, tmp_path / "out", Stopwatch())
    assert (row["decision"], row["note"]) == ("normal", NO_PANCREAS)
    assert (row["num_kept"], row["num_empty"]) == (NUM, NUM)
    slices = [slice_ for phase in details["phases"] for slice_ in phase["slices"]]
    assert sum(slice_["located"] for slice_ in slices) == NUM
    assert all(slice_["tumor"] is None for slice_ in slices)
