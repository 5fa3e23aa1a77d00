import numpy as np
import pytest
from scipy.ndimage import binary_dilation, center_of_mass, label

from core.phantom.ultrasound.anatomy import LOCATIONS, draw_anatomy
from core.phantom.ultrasound.beam import Fan, loss_db, on_screen, scan_convert, speckled
from core.phantom.ultrasound.phantom import make
from core.phantom.ultrasound.tissue import tissue

FAN = Fan((128, 128), 10.0, 50.0, np.radians(50))
EVEN = np.zeros((384, 192), np.float32)


def test_equal_arguments_give_equal_frames_and_seeds_differ():
    first, again, other = (
        make(seed, tumor_diameter_mm=25.0, location="body", shape=(96, 128)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.frames[0].array, again.frames[0].array)
    np.testing.assert_array_equal(first.masks[0], again.masks[0])
    assert (first.frames[0].array != other.frames[0].array).any()
    assert first.frames[0].shape == first.masks[0].shape == (96, 128)


def test_frames_share_the_anatomy_and_more_of_them_begin_alike():
    few, many = (
        make(3, tumor_diameter_mm=25.0, location="head", num_frames=n, shape=(96, 96))
        for n in (2, 4)
    )
    for a, b in zip(few.frames, many.frames, strict=False):
        np.testing.assert_array_equal(a.array, b.array)
    assert len({frame.array.tobytes() for frame in many.frames}) == 4
    assert len({frame.spacing_mm for frame in many.frames}) == 1
    spacing = many.frames[0].spacing_mm[0]
    centers = np.array([center_of_mass(mask) for mask in many.masks]) * spacing
    assert np.ptp(centers, axis=0).max() < 25  # millimeters: the array has moved, not the patient
    assert many.masks[0].sum() >= max(mask.sum() for mask in many.masks) * 0.98  # its middle


@pytest.mark.parametrize("diameter_mm", [12.0, 25.0, 45.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_tumor_has_its_area_and_is_one_piece_in_the_fan(diameter_mm, seed):
    phantom = make(seed, tumor_diameter_mm=diameter_mm, location="tail", shape=(256, 256))
    (frame,), (mask,) = phantom.frames, phantom.masks
    assert frame.spacing_mm is not None
    area_mm2 = mask.sum() * np.prod(frame.spacing_mm)
    # Counting pixels is good to about half of those on the border.
    border = np.pi * diameter_mm / frame.spacing_mm[0]
    assert area_mm2 == pytest.approx(np.pi * diameter_mm**2 / 4, rel=0.5 * border / mask.sum())
    assert label(mask)[1] == 1
    assert (frame.array[mask] > 0).mean() > 0.9  # no part of it lies where no beam reaches


def test_the_tumor_is_darker_than_the_tissue_around_it():
    contrasts = []
    for seed in range(8):
        phantom = make(seed, tumor_diameter_mm=25.0, location=LOCATIONS[seed % 4])
        array, mask = phantom.frames[0].array.astype(float), phantom.masks[0]
        ring = binary_dilation(mask, iterations=10) & ~binary_dilation(mask, iterations=3)
        contrasts.append(array[ring].mean() - array[mask].mean())
    assert np.mean(contrasts) > 20
    assert min(contrasts) > 0


def test_a_healthy_patient_has_an_empty_mask_and_no_stage():
    phantom = make(0, tumor_diameter_mm=None, location="neck", num_frames=2, shape=(64, 64))
    assert not any(mask.any() for mask in phantom.masks)
    assert (phantom.stage, phantom.tumor_diameter_mm) == (None, None)


@pytest.mark.parametrize(
    ("diameter_mm", "touches", "stage"),
    [
        (20.0, False, "T1"),
        (20.1, False, "T2"),
        (40.0, False, "T2"),
        (40.1, False, "T3"),
        (30.0, True, "T4"),
    ],
)
def test_the_stage_is_by_size_and_artery(diameter_mm, touches, stage):
    phantom = make(
        0,
        tumor_diameter_mm=diameter_mm,
        location="head",
        touches_artery=touches,
        shape=(32, 32),
    )
    assert phantom.stage == stage


@pytest.mark.parametrize("touches", [False, True])
def test_only_a_t4_tumor_reaches_the_artery(touches):
    for seed in range(6):
        anatomy = draw_anatomy(
            seed, tumor_diameter_mm=30.0, location="body", touches_artery=touches
        )
        x, z, radius, _ = anatomy.vessels[0]
        gap = anatomy.lesion.distance_mm(np.array([[x]]), np.array([[z]]), 0.0)[0, 0] - radius
        assert (gap < 0) == touches


def test_speckle_of_even_tissue_is_rayleigh_distributed():
    amplitude = speckled(EVEN, FAN, np.random.default_rng(0))
    inner = amplitude[20:-20, 10:-10]
    assert np.mean(inner**2) == pytest.approx(1, rel=0.1)
    # Mean over standard deviation of a Rayleigh distribution. About 3000 grains: 2 % by chance.
    assert inner.mean() / inner.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.06)
    louder = speckled(EVEN + 20, FAN, np.random.default_rng(0))
    np.testing.assert_allclose(louder, 10 * amplitude, rtol=1e-5)  # 20 dB are a factor of ten


def test_grains_grow_wider_with_depth():
    amplitude = speckled(EVEN, FAN, np.random.default_rng(1))
    picture = scan_convert(on_screen(amplitude, gain_db=-20.0), FAN).astype(float)
    depth, angle = FAN.pixels()

    def step(low_mm, high_mm):
        """Change from a pixel to its right neighbor, against the spread: small in wide grains."""
        here = (depth > low_mm) & (depth < high_mm) & (np.abs(angle) < 0.5)
        both = here[:, 1:] & here[:, :-1]
        return np.diff(picture, axis=1)[both].std() / picture[here].std()

    assert step(35, 48) < 0.8 * step(3, 16)


def test_tissue_that_takes_less_than_the_gain_gives_is_brighter_behind():
    attenuation = np.full((384, 192), 0.6, np.float32)
    attenuation[100:200, 80:110] = 0.0  # fluid
    loss = loss_db(attenuation, FAN, compensated_db_cm_mhz=0.6)
    np.testing.assert_allclose(loss[:, :80], 0, atol=1e-3)
    # There and back through 100 samples: 2 · 0.6 dB/cm/MHz · 7.5 MHz · the way in cm.
    way_cm = 100 * 5.0 / 383
    np.testing.assert_allclose(loss[250, 90], -2 * 0.6 * 7.5 * way_cm, rtol=1e-3)


def test_the_fan_is_black_outside_and_isotropic():
    picture = scan_convert(np.full((384, 192), 200, np.float32), FAN)
    inside = FAN.inside()
    assert (picture[inside] == 200).all()
    assert not picture[~inside].any()
    depth, angle = FAN.pixels()
    column = depth[:, 64][inside[:, 64]]
    np.testing.assert_allclose(np.diff(column), FAN.spacing_mm, rtol=1e-2)
    x, z = FAN.position(depth, angle)
    np.testing.assert_allclose(np.diff(x, axis=1), FAN.spacing_mm)
    np.testing.assert_allclose(np.diff(z, axis=0), FAN.spacing_mm)


def test_vessels_are_black_and_the_wall_has_layers():
    anatomy = draw_anatomy(5, tumor_diameter_mm=None, location="body", touches_artery=False)
    echo, attenuation = tissue(anatomy, FAN, shift_mm=(0.0, 0.0), tilt_rad=0.0, elevation_mm=0.0)
    depth, angle = FAN.lines()
    x, z = FAN.position(depth, angle)
    for vx, vz, radius, _ in anatomy.vessels:
        inner = np.hypot(x - vx, (z - vz) * 1.08) < 0.5 * radius
        if inner.any():
            assert echo[inner].max() < -25
            assert attenuation[inner].max() < 0.2
    wall = np.median(echo[: int(8 / 50 * 383)], axis=1)
    turns = np.count_nonzero(np.diff(np.sign(np.diff(np.convolve(wall, np.ones(3) / 3, "valid")))))
    assert turns >= 4  # bright, dark, bright, dark, bright


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"location": "liver"}, "location must be one of"),
        ({"num_frames": 0}, "num_frames must be positive"),
        ({"tumor_diameter_mm": -1.0}, "tumor_diameter_mm must be positive"),
        ({"tumor_diameter_mm": None, "touches_artery": True}, "touches_artery needs a tumor"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    arguments = {"tumor_diameter_mm": 20.0, "location": "head", **change}
    with pytest.raises(ValueError, match=message):
        make(0, **arguments)
