import json
from dataclasses import replace

import numpy as np
import pytest

from core.phantom.ct.phantom import Phantom, make
from core.phantom.deformation import deformed
from core.volume import Volume, reorient
from lnmet.registration import phases
from lnmet.registration.config import ConvexAdamConfig, RegistrationConfig
from lnmet.registration.phases import register_phases
from lnmet.registration.volumes import AIR_HU
from tests.refusals import refused

SMALL = RegistrationConfig(
    convexadam=ConvexAdamConfig(grid_spacing=3, search_radius=3, iterations=30),
    spacing_mm=6.0,
    multiple=12,
    both_ways=False,
)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make(3, shape=(36, 48, 60), spacing_mm=(6.0, 6.0, 6.0), tumor_diameter_mm=24.0)


@pytest.fixture(scope="module")
def breathed(phantom) -> tuple[Volume, Volume]:
    """Venous and arterial."""
    return phantom.images["venous"], deformed(phantom, 3, amplitude_mm=18.0).arterial


@pytest.fixture
def shifting(monkeypatch):
    """A method that finds the same displacement everywhere: (1, −0.5, 0) voxels of its grid."""

    def shift(fixed, moving, cfg):
        assert fixed.shape == moving.shape
        return np.broadcast_to(np.float32([1, -0.5, 0]).reshape(3, 1, 1, 1), (3, *fixed.shape))

    def both_ways(fixed, moving, cfg):
        return shift(fixed, moving, cfg), shift(moving, fixed, cfg)

    monkeypatch.setattr(phases, "METHODS", {"convexadam": phases.Method(shift, both_ways)})


def moved_by(volume: Volume, *, z_mm: float) -> Volume:
    x, y, z = volume.origin_mm
    return replace(volume, origin_mm=(x, y, z + z_mm))


def test_a_displacement_of_the_registration_grid_is_one_of_the_venous_grid(breathed, shifting):
    venous, arterial = breathed
    found = register_phases(venous, arterial, replace(SMALL, spacing_mm=12.0))
    # One voxel of 12 mm is two of 6 mm.
    np.testing.assert_allclose(found.field[:, 9, 9, 9], (2, -1, 0), rtol=1e-6)
    assert found.field.shape == (3, *venous.shape)
    assert found.field.dtype == np.float32
    np.testing.assert_array_equal(found.warped.array[:-2, 1:], arterial.array[2:, :-1])
    np.testing.assert_array_equal(found.warped.array[-2:], AIR_HU)
    np.testing.assert_array_equal(found.warped.affine_lps, venous.affine_lps)
    assert found.quality["folding_percent"] == 0
    assert found.quality["inverse_consistency_mm"] is None


def test_both_ways_are_compared_in_mm(breathed, shifting):
    found = register_phases(*breathed, replace(SMALL, both_ways=True))
    # There and back, (1, −0.5, 0) voxels of 6 mm each.
    assert found.quality["inverse_consistency_mm"] == pytest.approx(12 * np.hypot(1, 0.5))


def test_other_orientation_and_extent_of_the_arterial_scan_change_nothing(breathed):
    venous, arterial = breathed
    same = register_phases(venous, arterial, SMALL)
    padded = np.pad(arterial.array, ((0, 0), (3, 0), (0, 5)), constant_values=-1000)
    x, y, z = arterial.origin_mm
    wider = Volume(padded, arterial.spacing_mm, (x, y - 3 * 6, z), arterial.direction)
    turned = reorient(wider, np.diag([-1.0, 1.0, -1.0]))
    other = register_phases(venous, turned, SMALL)
    # Interpolation rounds differently, and rounding grows over 30 steps of Adam.
    assert np.abs(other.field - same.field).mean() < 0.02
    np.testing.assert_array_equal(other.warped.affine_lps, venous.affine_lps)
    assert other.quality["overlap"] == pytest.approx(same.quality["overlap"], abs=0.02)


def test_another_spacing_of_the_arterial_scan_finds_the_same_place(phantom):
    shape, spacing_mm = (43, 52, 66), (5.0, 5.5, 5.5)
    finer = make(3, shape=shape, spacing_mm=spacing_mm, tumor_diameter_mm=24.0)
    found = register_phases(phantom.images["venous"], finer.images["arterial"], SMALL)
    # One patient, who did not breathe; a quarter of a voxel of 6 mm is what the noise makes.
    assert np.abs(found.field[:, 8:-8, 8:-8, 8:-8]).mean() < 0.25
    expected = phantom.images["arterial"].array
    body = expected > -200
    # Two renderings with noise of their own, of some 12 HU, and partial volumes.
    assert np.median(np.abs(found.warped.array - expected)[body]) < 25


def test_registered_phases_are_more_alike_and_reported(breathed):
    found = register_phases(*breathed, SMALL)
    quality = found.quality
    assert quality["mind_distance_after"] < 0.6 * quality["mind_distance_before"]
    assert quality["folding_percent"] < 0.1
    assert quality["overlap"] > 0.9
    assert quality["seconds"] > 0
    assert quality["method"] == "convexadam"
    assert found.notes == ()
    json.dumps(quality, allow_nan=False)


def test_frames_of_reference_that_differ_are_noted(breathed, shifting):
    one = register_phases(*breathed, SMALL, venous_frame="1.2", arterial_frame="1.2")
    unknown = register_phases(*breathed, SMALL, venous_frame="1.2")
    other = register_phases(*breathed, SMALL, venous_frame="1.2", arterial_frame="1.3")
    assert one.notes == unknown.notes == ()
    (note,) = other.notes
    assert "different frames of reference" in note
    assert "1.3" not in note  # it tells an examination
    np.testing.assert_array_equal(other.field, one.field)


def test_too_little_of_the_body_in_common_is_refused(breathed, shifting):
    venous, arterial = breathed
    away = moved_by(arterial, z_mm=170.0)  # of 216 mm
    with refused(None, "of the smaller body in common", "at least 30% are needed", hint="check"):
        register_phases(venous, away, SMALL)
    with refused(None, "0%", hint="different frames of reference"):
        far = moved_by(arterial, z_mm=1000.0)
        register_phases(venous, far, SMALL, venous_frame="1.2", arterial_frame="1.3")


def test_a_scan_of_nothing_but_air_is_refused(breathed, shifting):
    venous, arterial = breathed
    air = arterial.with_array(np.full_like(arterial.array, -1000))
    with refused(None, "have 0% of the smaller body in common", hint="check"):
        register_phases(venous, air, SMALL)


def test_a_short_arterial_scan_inside_a_long_venous_one_overlaps_entirely(breathed, shifting):
    venous, arterial = breathed
    short = moved_by(arterial.with_array(arterial.array), z_mm=12 * 6.0)
    short = Volume(arterial.array[12:24], short.spacing_mm, short.origin_mm, short.direction)
    found = register_phases(venous, short, SMALL)
    # The breath moved some of the body that the short scan shows out of the venous body.
    assert found.quality["overlap"] > 0.9
    np.testing.assert_array_equal(found.warped.array[:8], AIR_HU)
    np.testing.assert_array_equal(found.warped.array[28:], AIR_HU)


def test_an_affine_map_goes_first_where_it_is_asked_for(breathed, monkeypatch):
    calls = []

    def aligned(fixed, moving, numbers):
        calls.append(numbers)
        return np.zeros((3, *fixed.shape), np.float32)

    monkeypatch.setattr(phases.deeds_affine, "register_aligned", aligned)
    cfg = replace(SMALL, method="deeds", affine=True, both_ways=True)
    register_phases(*breathed, cfg)
    assert calls == [cfg.deeds, cfg.deeds]
