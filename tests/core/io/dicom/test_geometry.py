import numpy as np
import pytest

from core.volume import orientation
from tests.core.io.dicom.look import read, refusal
from tests.core.io.dicom.make import AXIAL, CORONAL, SAGITTAL, hu, save, slices


@pytest.mark.parametrize(("axes", "letters"), [(AXIAL, "SPL"), (CORONAL, "PIL"), (SAGITTAL, "RIP")])
def test_voxels_and_affine_follow_the_positions_not_the_names(tmp_path, axes, letters):
    volume = read(save(tmp_path, slices(orientation=axes)))
    np.testing.assert_array_equal(volume.array, hu())
    assert volume.array.dtype == np.int16
    assert volume.spacing_mm == pytest.approx((2.5, 0.7, 0.8))
    assert volume.origin_mm == (-50, -60, -70)
    assert orientation(volume) == letters
    # Rows run along the second vector of the orientation, columns along the first.
    expected = np.stack([np.cross(axes[:3], axes[3:]), axes[3:], axes[:3]], axis=1)
    np.testing.assert_allclose(volume.direction, expected, atol=1e-12)


def test_slices_ascend_along_the_normal_whatever_their_numbers(tmp_path):
    down = slices(step_mm=(0, 0, -2.5))
    volume = read(save(tmp_path, down))
    np.testing.assert_array_equal(volume.array, hu()[::-1])
    assert volume.origin_mm == (-50, -60, -70 - 9 * 2.5)
    assert np.linalg.det(volume.direction[:, ::-1]) == pytest.approx(1)  # x, y, z right-handed


def test_rounded_positions_are_one_grid(tmp_path):
    datasets = slices()
    for k, d in enumerate(datasets):
        d.ImagePositionPatient[2] += 0.04 * (-1) ** k
    assert read(save(tmp_path, datasets)).spacing_mm[0] == pytest.approx(2.5, abs=0.01)


def tilted(angle_deg):
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return (1, 0, 0, 0, c, -s)


def moved(datasets, shifts_mm):
    for k, shift in shifts_mm.items():
        datasets[k].ImagePositionPatient[2] += shift
    return datasets


REFUSED = {
    "gap": (
        [d for k, d in enumerate(slices()) if k != 4],
        "slices are missing between -62.50 and -57.50 mm (the usual step is 2.50 mm)",
    ),
    "tilt": (
        slices(orientation=tilted(10), step_mm=(0, 0, 5)),
        f"gantry tilt of 10.0 degrees: each slice is shifted by "
        f"{5 * np.sin(np.radians(10)):.2f} mm against the one below",
    ),
    "steps": (
        moved(slices(), {8: 0.5, 9: 1.0}),
        "the distance between slices varies from 2.50 to 3.00 mm",
    ),
    "vectors": (
        slices(orientation=(1, 0, 0, 0.5, 1, 0)),
        "its rows and columns are not perpendicular unit vectors",
    ),
    "spacing": (slices(spacing_mm=(0.0, 0.7)), "its pixel spacing is not positive"),
    "few": (slices(hu()[:7]), "too few for a volume, which needs at least 8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_regular_grid_is_refused_with_its_millimeters(tmp_path, name):
    datasets, reason = REFUSED[name]
    assert (
        refusal(save(tmp_path, datasets)) == f"series 'venous' of {len(datasets)} slices: {reason}"
    )


def test_a_curved_stack_is_refused(tmp_path):
    datasets = slices(hu((40, 6, 8)))
    for k, d in enumerate(datasets):
        d.ImagePositionPatient[0] += 3 * np.sin(np.pi * k / 39)
    assert "slices lie up to 3.00 mm off a straight regular stack" in refusal(
        save(tmp_path, datasets)
    )
