import numpy as np
import pytest
from scipy import ndimage as ndi

from core.io import nifti
from core.io.inventory import find_scans
from core.io.scans import VolumeCache
from core.phantom.ct.phantom import LABELS, make
from core.phases import image as module
from core.phases.image import Enhancement, enhancement, scan_enhancement
from core.volume import CANONICAL_DIRECTION, Volume, reorient

SHAPE, SPACING_MM = (16, 128, 128), (6.0, 3.0, 3.0)
AORTA, LIVER = LABELS["aorta"], LABELS["liver"]


@pytest.fixture(scope="module")
def phantom():
    return make(0, shape=SHAPE, spacing_mm=SPACING_MM, tumor_diameter_mm=None)


def painted(phantom, hu, *, structures):
    """The venous phase with other HU in some structures, and noise of 12 HU."""
    volume = phantom.images["venous"]
    array = volume.array.astype(np.float32)
    inside = np.isin(phantom.label.array, [LABELS[name] for name in structures])
    array[inside] = hu + 12 * np.random.default_rng(0).standard_normal(inside.sum())
    return volume.with_array(array)


@pytest.mark.parametrize("seed", range(3))
def test_phantoms_show_their_phase(seed):
    diameter_mm = 30 if seed % 2 else None
    patient = make(seed, shape=SHAPE, spacing_mm=SPACING_MM, tumor_diameter_mm=diameter_mm)
    for phase, volume in patient.images.items():
        measured, label = enhancement(volume), patient.label.array
        assert measured.phase == phase
        # The rim of the liver is left out, and with it part of its vessels.
        assert measured.liver_hu == pytest.approx(np.median(volume.array[label == LIVER]), abs=8)
        # In the venous phase the portal vein may be the brighter one, by less than 50 HU.
        aorta_hu = np.median(volume.array[label == AORTA])
        assert aorta_hu - 15 < measured.aorta_hu < aorta_hu + 50


def test_the_orientation_in_memory_does_not_matter(phantom):
    volume = phantom.images["arterial"]
    turned = reorient(volume, -CANONICAL_DIRECTION[:, [2, 0, 1]])
    assert turned.shape != volume.shape
    assert enhancement(turned) == enhancement(volume)


def test_without_contrast_agent_a_scan_is_native(phantom):
    volume, label = phantom.images["venous"], phantom.label.array
    array = volume.array.astype(np.float32)
    soft = (array > 60) & (label > 0) & ~np.isin(label, [LABELS["spine"], LABELS["ribs"]])
    array[soft] = 45 + 12 * np.random.default_rng(0).standard_normal(soft.sum())
    assert enhancement(volume.with_array(array)).phase == "native"


def test_delayed_needs_excretion_on_both_sides(phantom):
    vessels = ("aorta", "inferior_vena_cava", "portal_splenic_vein", "liver", "spleen")
    late = painted(phantom, 100.0, structures=vessels)
    assert enhancement(late).phase == "unknown"
    for side, phase in (("left", "unknown"), ("right", "delayed")):
        kidney = phantom.label.array == LABELS[f"kidney_{side}"]
        late.array[kidney] = 160
        late.array[ndi.binary_erosion(kidney, iterations=3)] = 600
        assert enhancement(late).phase == phase


def test_a_bright_aorta_in_a_fatty_liver_decides_nothing(phantom):
    assert enhancement(painted(phantom, 40.0, structures=["liver"])).phase == "unknown"


@pytest.mark.parametrize(
    "change",
    [
        lambda a: np.flip(a, 2),  # the liver on the left
        lambda a: np.clip((a + 100) / 340 * 255, 0, 255),  # gray values of a display
        lambda a: np.full_like(a, -1000),
        lambda a: a[:, :64],
    ],
)
def test_where_liver_or_spine_are_not_found_the_phase_is_unknown(phantom, change):
    array = change(phantom.images["arterial"].array)
    measured = enhancement(Volume(array, SPACING_MM, (0, 0, 0), CANONICAL_DIRECTION))
    assert (measured.phase, str(measured)) == ("unknown", "no liver and spine found")


def test_pixels_too_coarse_for_an_aorta_decide_nothing():
    patient = make(0, shape=(8, 64, 64), spacing_mm=(10, 6, 6), tumor_diameter_mm=None)
    assert str(enhancement(patient.images["arterial"])) == "no liver and spine found"
    assert enhancement(patient.images["arterial"]).phase == "unknown"


@pytest.mark.parametrize(
    ("liver", "aorta", "share", "excreted", "phase"),
    [
        (45, 40, 0.0, False, "native"),
        (45, float("nan"), 0.0, False, "native"),
        (90, 40, 0.0, False, "unknown"),
        (45, 110, 0.0, False, "unknown"),
        (70, 300, 0.05, False, "arterial"),
        (70, 300, 0.05, True, "arterial"),  # a second injection
        (110, 150, 0.15, False, "venous"),
        (110, 150, 0.15, True, "delayed"),
        (95, 105, 0.15, False, "unknown"),
        (45, 60, 0.05, True, "unknown"),  # contrast agent of an earlier scan
        (60, 190, 0.05, False, "unknown"),
        (110, 150, 0.025, False, "unknown"),
        (100, float("nan"), 0.15, False, "unknown"),
    ],
)
def test_what_lies_between_two_phases_is_unknown(liver, aorta, share, excreted, phase):
    assert Enhancement(liver, aorta, share, excreted).phase == phase


def test_real_scans_show_their_phase_and_the_hu_of_their_segmentation(shared_data, monkeypatch):
    folder = shared_data / "ct_abdomen"
    for name in ("example_ct", "example_ct_sm"):
        measured = enhancement(nifti.read(folder / f"{name}.nii.gz"))
        assert (measured.phase, measured.excreted) == ("native", False)
        assert measured.aorta_hu == pytest.approx(41, abs=5)  # label 52 of example_ct_seg
    ((scan,), _) = find_scans(folder / "example_ct_dicom")
    measured = scan_enhancement(scan, VolumeCache())
    assert measured.phase == "venous"
    # Labels of example_ct_dicom_seg: the liver has 93 HU, the aorta 151.
    assert measured.liver_hu == pytest.approx(93, abs=5)
    assert measured.aorta_hu == pytest.approx(151, abs=5)
    monkeypatch.setattr(module, "MAX_SLICES", 5)  # every fourth image is read
    assert scan_enhancement(scan, VolumeCache()).phase == "venous"
