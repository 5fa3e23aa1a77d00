import numpy as np
import pytest

from core.phases.reconstruction import no_tissue, reformat, sharpness


def tilted(degrees, towards):
    """Normal of an axial image, turned towards an axis."""
    angle = np.radians(degrees)
    return np.cos(angle) * np.eye(3)[2] + np.sin(angle) * np.eye(3)[towards]


def test_images_are_axial_up_to_a_tilt_in_either_direction():
    assert reformat(tilted(29, 1)) == reformat(-tilted(29, 0)) == ""
    assert reformat(tilted(31, 1)) == "oblique reformat"
    assert reformat(tilted(80, 0)) == "sagittal reformat"
    assert reformat(-tilted(80, 1)) == "coronal reformat"


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("Abdomen_MIP_axial", "projection through slices"),
        ("curved CPR", "projection through slices"),
        ("Iodine map", "map or bolus tracking, not tissue in HU"),
        ("Monitoring 10.0", "map or bolus tracking, not tissue in HU"),
        ("Abdomen 3 D", ""),
        ("", ""),
    ],
)
def test_projections_and_maps_are_no_slices_of_tissue(description, reason):
    assert no_tissue(description) == reason


@pytest.mark.parametrize(
    ("kernel", "description", "level"),
    [
        ("STANDARD", "", 0),
        ("SOFT", "", 0),
        ("B30f", "", 0),
        ("Br40d 3", "", 0),
        ("I31f", "", 0),
        ("FC08", "", 0),
        ("FC 13-H", "", 0),
        ("B", "", 0),
        ("", "Abdomen Weichteil", 0),
        ("", "Abdomen", 1),
        ("B60f", "", 2),
        ("Bl57", "", 2),
        ("FC52", "", 2),
        ("LUNG", "", 2),
        ("BONEPLUS", "", 2),
        ("YB", "", 2),
        ("D", "", 2),
        ("", "Knochen 1.0", 2),
        ("STANDARD", "bone", 0),
    ],
)
def test_kernels_of_four_makers_are_soft_or_sharp(kernel, description, level):
    assert sharpness(kernel, description) == level
