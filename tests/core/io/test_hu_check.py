"""Whether values are a CT in HU, on bodies of known tissue."""

import numpy as np
import pytest
from scipy import ndimage

from core.io import nifti
from core.io.dicom.geometry import grid
from core.io.dicom.pixels import read_hu
from core.io.hu_check import require_hu
from core.io.nifti import read
from core.volume import Volume
from tests.core.io.dicom.look import find_volumes
from tests.core.io.dicom.make import save, slices
from tests.refusals import refused

PATH = "ct.nii.gz"
MADE = {
    "as it is": lambda hu: hu,
    "float": lambda hu: hu.astype(np.float32),
    "padded": lambda hu: padded(hu, -3024),
    "resampled": lambda hu: ndimage.zoom(hu.astype(np.float32), 0.9, order=3),
    "padded and resampled": lambda hu: ndimage.zoom(padded(hu, -3024).astype(np.float32), 0.9),
    "a part with air": lambda hu: hu[:, :30],
    "windowed above": lambda hu: np.minimum(hu, 240),
    "a dense implant": lambda hu: implanted(hu),
}


def body(shape=(20, 60, 70), noise=12.0):
    """HU of air, a ring of fat, soft tissue in it, and a spine."""
    _, y, x = np.indices(shape)
    radius = np.hypot((y - 30) / 25, (x - 35) / 30)
    hu = np.select([radius < 0.8, radius < 1], [50.0, -100.0], -1000.0)
    hu[:, 40:46, 32:38] = 400
    return np.rint(hu + np.random.default_rng(0).normal(0, noise, shape)).astype(np.int16)


def padded(values, padding):
    values = values.copy()
    values[:, :, :8] = padding
    return values


def implanted(hu):
    """With as narrow a peak near 1000 as soft tissue has without an offset."""
    hu = hu.copy()
    hu[:, 20:40, 25:45] += 950
    return hu


def windowed(hu):
    """From 0 to 255, as a picture shows -160 to 240 HU."""
    return (np.clip(hu, -160.0, 240) + 160) / 400 * 255


@pytest.mark.parametrize("made", MADE)
def test_a_ct_in_hu_is_left_alone_without_a_word(made, caplog):
    hu = np.ascontiguousarray(MADE[made](body()))
    checked = require_hu(hu.copy(), PATH)
    np.testing.assert_array_equal(checked, hu)
    assert checked.dtype == hu.dtype
    assert caplog.text == ""


def test_no_second_array_is_made():
    for hu in (body(), body() + 1024):
        assert require_hu(hu, PATH) is hu


@pytest.mark.parametrize(
    "made",
    [
        lambda stored: stored,
        lambda stored: np.maximum(stored, 0),
        lambda stored: stored.astype(np.float32),
        lambda stored: padded(stored, -2000),  # as GE stores what lies outside its circle
        lambda stored: padded(stored, 0),
        lambda stored: padded(stored, -32768),
        lambda stored: padded(stored, -1024),  # as voxels that were no number
    ],
    ids=["signed", "cut off at 0", "float", "low", "with 0", "end of the type", "no number"],
)
def test_an_offset_that_air_tells_is_added_with_a_remark(made, caplog):
    stored = np.ascontiguousarray(made(body() + 1024))
    expected = np.maximum(stored.astype(np.float32) - 1024, -32768)
    np.testing.assert_array_equal(require_hu(stored, PATH), expected)
    assert "its offset was missing: air lay at 2" in caplog.text
    assert "-1024 was added" in caplog.text


def test_undershoot_of_resampling_does_not_hide_a_missing_offset(caplog):
    stored = ndimage.zoom((body() + 1024).astype(np.float32), 0.9, order=3)
    assert -300 < stored.min() < -5
    tissue = require_hu(stored, PATH)[10, 20:30, 25:35]
    assert np.median(tissue) == pytest.approx(50, abs=5)
    assert "offset" in caplog.text


@pytest.mark.parametrize(
    "stored",
    [
        body() + 1000,
        np.maximum(body() + 1000, 0),
        np.maximum(np.clip(body(), -1024, None) + 1024, 0) * (body() > -500),  # air is 0
        (body() + 1024)[:, 18:40, 22:48],  # no air
    ],
    ids=["-1000", "-1000, cut off", "air cut off", "no air"],
)
def test_an_offset_that_air_does_not_tell_is_refused(stored):
    with refused(PATH, "-1024 or -1000", hint="subtract the right one"):
        require_hu(np.ascontiguousarray(stored), PATH)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ((body() > 0).astype(np.uint8), "2 whole numbers from 0 to 1, as in a label map"),
        (np.digitize(body(), [-500, 0, 200]).astype(np.float32), "4 whole numbers"),
        (np.zeros((10, 20, 20), np.int16), "every voxel is 0"),
        ((body() + 1100.0) / 2000, "probabilities or normalised"),
        (np.clip(body() / 1000.0, -1, 1), "probabilities or normalised"),
        ((body() - 80) / 70.0, "normalised, or SUV"),
        (windowed(body()), "the gray values of a picture"),
        (windowed(body(noise=30)).astype(np.uint8), "the gray values of a picture"),
        (windowed(body(noise=5)).astype(np.uint8), "from 0 to 255, as in a label map or a picture"),
        (np.maximum(body(), 0), "neither air nor fat is below 0"),
        (body().astype(np.int32) + 32768, "without an offset"),
        (padded(np.full((10, 20, 20), -2000), -3000), "all is padding"),
        (body() - 1024, "soft tissue lies near -1000"),
        (body() * 10.0, "a factor?"),
        (padded(body() / 70.0, -1024), "normalised, or SUV"),
    ],
)
def test_values_that_are_no_hu_are_refused_by_what_they_are(values, reason):
    with refused(PATH, "no CT in HU", reason, hint="1024" if "tissue" in reason else "CT itself"):
        require_hu(np.ascontiguousarray(values), PATH)


def test_pet_and_mr_are_refused_even_where_their_tissue_is_near_1000():
    rng, inside = np.random.default_rng(0), body() > -500
    pet = ndimage.gaussian_filter(rng.exponential(3000, inside.shape), 2) * inside
    mr = np.hypot(inside * rng.normal(1000, 150, inside.shape), rng.normal(0, 20, inside.shape))
    rung = ndimage.zoom(600.0 * inside, 0.9, order=3)  # it swings below 0 beside edges
    assert 1e-3 < np.mean(rung < -20) < 0.05
    for values in (pet, pet / 1000, np.rint(pet), mr, np.rint(mr), pet - 5, rung):
        with refused(PATH, "no CT in HU", hint="CT itself"):
            require_hu(values.astype(np.float32), PATH)


def test_a_part_of_the_body_and_a_window_in_hu_are_remarked_on(caplog):
    inside = np.ascontiguousarray(body()[:, 8:50, 25:45])
    np.testing.assert_array_equal(require_hu(inside.copy(), PATH), inside)
    assert "nothing is air: is it a part of the body" in caplog.text
    window = np.clip(body(), -160, 240)
    np.testing.assert_array_equal(require_hu(window.copy(), PATH), window)
    assert "HU below -160 were cut off" in caplog.text


def test_too_few_voxels_tell_nothing_but_that_none_is_below_zero(caplog):
    few = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    np.testing.assert_array_equal(require_hu(few, PATH), np.arange(24).reshape(2, 3, 4))
    assert "is an offset missing?" in caplog.text


def test_the_sample_reaches_every_column(monkeypatch):
    monkeypatch.setattr("core.io.hu_values.SAMPLE", 2048)
    hu = body((32, 64, 64))
    hu[..., :5] = 9000  # of a sample of one column, this would be all or nothing
    np.testing.assert_array_equal(require_hu(hu.copy(), PATH), hu)
    assert require_hu(hu + 1024, PATH)[0, 30, 34] == hu[0, 30, 34]


def test_both_readers_ask(tmp_path, caplog):
    hu = body()
    path = nifti.write(tmp_path / "a.nii.gz", Volume(hu + 1024, (2, 1, 1), (0, 0, 0), np.eye(3)))
    np.testing.assert_array_equal(read(path).array, hu)
    save(tmp_path / "ct", slices(hu, RescaleIntercept=0))
    (volume,), _ = find_volumes(tmp_path / "ct", min_slices=8)
    caplog.clear()
    read_hu(volume)
    assert "its offset was missing" in caplog.text


def test_real_ct_keeps_its_values(shared_data, caplog):
    folder = shared_data / "ct_abdomen"
    for name in ("example_ct.nii.gz", "example_ct_sm.nii.gz"):
        volume = read(folder / name)
        np.testing.assert_array_equal(require_hu(volume.array.copy(), PATH), volume.array)
        shifted = require_hu(volume.array + 1024, PATH)
        np.testing.assert_array_equal(shifted, volume.array)
    (volume,), _ = find_volumes(folder / "example_ct_dicom", min_slices=8)
    assert "offset" not in caplog.text.replace("its offset was missing: air lay at 25", "")
    assert grid(volume).with_array(read_hu(volume)).array.min() == -1024
