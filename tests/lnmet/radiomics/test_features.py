"""Features of a tumor: which they are, and what some of them must be."""

import builtins
import logging
from collections import Counter

import numpy as np
import pytest
import scipy.special

from lnmet.radiomics import features
from lnmet.radiomics.features import Tumor, cut_tumor, phase_features
from lnmet.radiomics.names import FEATURE_NAMES, feature_names
from tests.lnmet.radiomics.golden.make import GOLDEN, SPACING_MM, phantom
from tests.refusals import refused

INSTALLED = "PyRadiomics is not installed: run `make radiomics`"


@pytest.fixture(scope="module")
def measured() -> dict[str, float]:
    pytest.importorskip("radiomics", reason=INSTALLED)
    hu, mask = phantom()
    return phase_features(cut_tumor(hu, mask, SPACING_MM, case="a"), case="a")


def test_a_phase_has_1688_features_and_two_have_3376():
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == 107 + 17 * 93 == 1688
    assert len(set(feature_names(("arterial", "venous")))) == 3376
    assert feature_names(("venous",))[0] == "venous_original_shape_Elongation"
    classes = Counter(name.split("_")[1] for name in FEATURE_NAMES if name.startswith("original_"))
    assert classes == {
        "shape": 14, "firstorder": 18, "glcm": 24, "gldm": 14, "glrlm": 16, "glszm": 16, "ngtdm": 5,
    }  # fmt: skip


def test_pyradiomics_measures_these_features_and_all_are_numbers(measured: dict[str, float]):
    assert tuple(measured) == FEATURE_NAMES
    assert np.isfinite(list(measured.values())).all()


def test_the_box_has_the_features_that_pyradiomics_own_release_gives_the_whole_image(
    measured: dict[str, float],
):
    """Also those that scale by the largest HU, and those of the spherical harmonics."""
    # The same arithmetic in other builds of NumPy, SciPy and SimpleITK; here it is bit by bit.
    np.testing.assert_allclose(list(measured.values()), np.load(GOLDEN), rtol=1e-6, atol=1e-9)


def test_first_order_features_are_numpys(measured: dict[str, float]):
    hu, mask = phantom()
    inside = hu[mask].astype(float)
    bins = np.unique(np.floor(inside / 25) - np.floor(inside.min() / 25), return_counts=True)[1]
    share = bins / inside.size
    expected = {
        "10Percentile": np.percentile(inside, 10),
        "Energy": (inside**2).sum(),
        "Entropy": -(share * np.log2(share)).sum(),
        "Mean": inside.mean(),
        "Range": np.ptp(inside),
        "Skewness": ((inside - inside.mean()) ** 3).mean() / inside.std() ** 3,
        "TotalEnergy": (inside**2).sum() * np.prod(SPACING_MM),
        "Uniformity": (share**2).sum(),
        "Variance": inside.var(),
    }
    for name, value in expected.items():
        assert measured[f"original_firstorder_{name}"] == pytest.approx(value, rel=1e-9), name


def test_the_shape_of_a_ball_is_a_balls_whatever_the_spacing():
    pytest.importorskip("radiomics", reason=INSTALLED)
    spacing_mm, radius_mm = (1.6, 0.8, 1.0), 9.0
    d, h, w = (np.arange(n) * mm - 11 for n, mm in zip((15, 28, 23), spacing_mm, strict=True))
    mask = d[:, None, None] ** 2 + h[None, :, None] ** 2 + w[None, None, :] ** 2 <= radius_mm**2
    hu = np.random.default_rng(0).integers(0, 100, mask.shape).astype(np.int16)
    shape = {
        name.split("_")[2]: value
        for name, value in phase_features(Tumor(hu, mask, spacing_mm), case="ball").items()
        if "_shape_" in name
    }
    assert shape["VoxelVolume"] == pytest.approx(mask.sum() * 1.6 * 0.8 * 1.0)
    # The mesh of a binary mask has steps, which add about a tenth to a surface at any spacing.
    assert shape["MeshVolume"] == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.02)
    assert shape["SurfaceArea"] == pytest.approx(4 * np.pi * radius_mm**2, rel=0.12)
    volume, area = shape["MeshVolume"], shape["SurfaceArea"]
    assert shape["Sphericity"] == pytest.approx((36 * np.pi * volume**2) ** (1 / 3) / area)
    assert shape["Sphericity"] == pytest.approx(1, abs=0.12)
    assert shape["Elongation"] == pytest.approx(1, abs=0.05)
    assert shape["Maximum3DDiameter"] == pytest.approx(2 * radius_mm, abs=1.6)


def test_axes_keep_their_spacing():
    """Four voxels in a row along each axis: the length is that axis's."""
    pytest.importorskip("radiomics", reason=INSTALLED)
    hu = np.random.default_rng(0).integers(0, 100, (8, 8, 8)).astype(np.int16)
    mask = np.zeros(hu.shape, bool)
    mask[2:6, 3:5, 3:5] = True
    long = phase_features(Tumor(hu, mask, (3.0, 1.0, 1.0)), case="rod")
    # Variance of -1.5 … 1.5 in steps of 1 is 1.25; the axis is 4 standard deviations.
    assert long["original_shape_MajorAxisLength"] == pytest.approx(4 * 3.0 * np.sqrt(1.25))


def test_a_flat_tumor_is_measured():
    pytest.importorskip("radiomics", reason=INSTALLED)
    hu, _ = phantom()
    mask = np.zeros(hu.shape, bool)
    mask[20, 20:23, 20:22] = True
    assert tuple(phase_features(cut_tumor(hu, mask, SPACING_MM, case="a"), case="a"))


def test_voxels_are_whole_hu():
    hu, mask = phantom()
    shifted = cut_tumor(hu + 0.3, mask, SPACING_MM, case="a")
    assert shifted.hu.dtype == np.int16
    np.testing.assert_array_equal(shifted.hu, cut_tumor(hu, mask, SPACING_MM, case="a").hu)


def test_what_has_no_features_is_refused_with_its_case():
    hu, mask = phantom()
    empty = np.zeros_like(mask)
    with refused(None, "c7", "no tumor", hint="leave it out"):
        cut_tumor(hu, empty, SPACING_MM, case="c7")
    for row in (np.s_[9, 9, 9], np.s_[9, 9:12, 9]):
        mask = empty.copy()
        mask[row] = True
        with refused(None, "c7", f"row of {mask.sum()} voxels", hint="finer spacing"):
            cut_tumor(hu, mask, SPACING_MM, case="c7")
    with refused(None, "c7", "-5 HU everywhere", hint="image"):
        cut_tumor(np.full_like(hu, -5), phantom()[1], SPACING_MM, case="c7")


@pytest.mark.parametrize("package", ["radiomics", "SimpleITK", "trimesh", "skimage"])
def test_without_a_package_it_is_said_how_to_install_it(
    package: str, monkeypatch: pytest.MonkeyPatch
):
    """Without the last two, PyRadiomics measures 1,409 or 1,595 features and says nothing."""
    whole = builtins.__import__

    def without(name: str, *args: object, **kwargs: object):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return whole(name, *args, **kwargs)  # type: ignore[arg-type]

    pytest.importorskip("radiomics", reason=INSTALLED)
    monkeypatch.setattr(builtins, "__import__", without)
    hu, mask = phantom()
    with refused(None, package, hint="pip install 'panjax[radiomics]'"):
        phase_features(cut_tumor(hu, mask, SPACING_MM, case="a"), case="a")


def test_another_number_of_features_is_refused(monkeypatch: pytest.MonkeyPatch):
    sitk = pytest.importorskip("SimpleITK", reason=INSTALLED)

    class Without:
        def __init__(self, **settings: object) -> None: ...

        def enableAllImageTypes(self) -> None: ...

        def execute(self, image: object, mask: object) -> dict[str, float]:
            return {name: 0.0 for name in FEATURE_NAMES if "lbp-3D" not in name}

    monkeypatch.setattr(features, "_pyradiomics", lambda: (Without, sitk))
    hu, mask = phantom()
    with refused(None, 1409, "c7", "1,688", hint="pip install"):
        phase_features(cut_tumor(hu, mask, SPACING_MM, case="c7"), case="c7")


def test_measuring_leaves_no_trace(measured: dict[str, float], caplog: pytest.LogCaptureFixture):
    had = hasattr(scipy.special, "sph_harm")
    level = logging.getLogger("radiomics").level
    hu, mask = phantom()
    flat = mask & (np.arange(mask.shape[0]) == 22)[:, None, None]
    phase_features(cut_tumor(hu, flat, SPACING_MM, case="a"), case="a")
    assert caplog.records == []
    assert hasattr(scipy.special, "sph_harm") is had
    assert logging.getLogger("radiomics").level == level


def test_spherical_harmonics_take_their_arguments_in_the_old_order():
    """Against their closed forms, with the Condon-Shortley phase."""
    azimuth, polar = np.linspace(-3, 3, 7), np.linspace(0.1, 3, 7)
    root = np.sqrt(3 / (8 * np.pi))
    forms = {
        (0, 0): np.full(7, 0.5 / np.sqrt(np.pi)),
        (0, 1): np.sqrt(3 / (4 * np.pi)) * np.cos(polar),
        (1, 1): -root * np.sin(polar) * np.exp(1j * azimuth),
        (-1, 1): root * np.sin(polar) * np.exp(-1j * azimuth),
    }
    for (m, n), form in forms.items():
        np.testing.assert_allclose(features.sph_harm(m, n, azimuth, polar), form, atol=1e-14)
