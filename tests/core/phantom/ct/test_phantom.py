import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, center_of_mass, label

from core.phantom.ct.nodes import STATIONS
from core.phantom.ct.phantom import LABELS, Phantom, make
from core.phantom.ct.tissue import PHASES
from core.volume import CANONICAL_DIRECTION, orientation

D, H, W = 0, 1, 2


def mask(phantom: Phantom, *names: str) -> np.ndarray:
    return np.isin(phantom.label.array, [LABELS[name] for name in names])


def center(phantom: Phantom, *names: str) -> np.ndarray:
    return np.array(center_of_mass(mask(phantom, *names)))


def inner_hu(phantom: Phantom, phase: str, name: str) -> float:
    inside = binary_erosion(mask(phantom, name))
    return float(phantom.images[phase].array[inside].mean())


def equivalent_diameter_mm(phantom: Phantom) -> float:
    volume_mm3 = mask(phantom, "tumor").sum() * phantom.label.voxel_mm3
    return float((6 * volume_mm3 / np.pi) ** (1 / 3))


def test_equal_arguments_give_equal_voxels_and_another_seed_another_patient():
    call = {"shape": (12, 24, 28), "spacing_mm": (8.0, 12.0, 12.0), "tumor_diameter_mm": 30.0}
    first, again, other = make(1, **call), make(1, **call), make(2, **call)
    np.testing.assert_array_equal(first.label.array, again.label.array)
    for phase in PHASES:
        np.testing.assert_array_equal(first.images[phase].array, again.images[phase].array)
    assert first.label.origin_mm == again.label.origin_mm
    assert (first.label.array != other.label.array).mean() > 0.05


def test_images_and_label_share_one_canonical_grid(sick):
    np.testing.assert_array_equal(sick.label.direction, CANONICAL_DIRECTION)
    assert orientation(sick.label) == "SPL"
    assert sick.label.array.dtype == np.uint8
    assert set(sick.images) == set(PHASES)
    for image in sick.images.values():
        assert image.array.dtype == np.int16
        np.testing.assert_array_equal(image.affine_lps, sick.label.affine_lps)
        assert image.array.min() >= -1024
        assert image.array.max() <= 3071


def test_every_structure_is_there(sick, healthy):
    absent = {"metastatic_lymph_node", "tumor", "duct", "dilated_duct"}
    for name, value in LABELS.items():
        assert name in absent or (healthy.label.array == value).any(), name
    assert mask(sick, "tumor").any()
    assert mask(sick, "duct").any()
    assert mask(sick, "dilated_duct").any()
    assert not mask(healthy, "tumor", "metastatic_lymph_node", "dilated_duct").any()


@pytest.mark.parametrize(
    ("name", "arterial_hu", "venous_hu"),
    [
        # Ranges of late arterial and portal venous protocols, widened by the patients' spread.
        ("pancreas", (95, 135), (85, 120)),
        ("liver", (45, 85), (90, 130)),
        ("spleen", (95, 150), (95, 145)),
        ("aorta", (240, 370), (95, 210)),
        ("portal_splenic_vein", (95, 165), (135, 205)),
        ("inferior_vena_cava", (60, 130), (90, 160)),
    ],
)
def test_attenuation_follows_the_phase(sick, healthy, name, arterial_hu, venous_hu):
    for phantom in (sick, healthy):
        assert arterial_hu[0] < inner_hu(phantom, "arterial", name) < arterial_hu[1]
        assert venous_hu[0] < inner_hu(phantom, "venous", name) < venous_hu[1]


def test_air_surrounds_the_patient(sick):
    outside = mask(sick, "background")
    assert np.median(sick.images["venous"].array[outside]) == pytest.approx(-1000, abs=10)
    assert not outside[:, 55, 65].any()


@pytest.mark.parametrize("seed", range(3))
def test_the_tumor_is_darker_than_the_pancreas(seed):
    phantom = make(seed, shape=(64, 70, 90), spacing_mm=(3.0, 3.0, 3.0), tumor_diameter_mm=30.0)
    assert 35 < inner_hu(phantom, "arterial", "tumor") < 75
    assert 50 < inner_hu(phantom, "venous", "tumor") < 90
    for phase in PHASES:
        assert inner_hu(phantom, phase, "tumor") < inner_hu(phantom, phase, "pancreas") - 15


def test_organs_lie_where_they_belong(healthy):
    liver, spleen, spine = (center(healthy, n) for n in ("liver", "spleen", "spine"))
    aorta, cava, stomach = (center(healthy, n) for n in ("aorta", "inferior_vena_cava", "stomach"))
    # W grows to the patient's left, H to the back, D to the head.
    assert liver[W] < spine[W] < spleen[W]
    assert center(healthy, "kidney_right")[W] < spine[W] < center(healthy, "kidney_left")[W]
    assert aorta[H] < spine[H]
    assert cava[W] < aorta[W]
    assert stomach[W] > spine[W]
    assert stomach[H] < aorta[H]


def test_the_aorta_runs_in_front_of_the_spine_on_every_slice(healthy):
    aorta, spine = mask(healthy, "aorta"), mask(healthy, "spine")
    for d in range(healthy.label.shape[0]):
        assert np.argwhere(aorta[d]).mean(0)[0] < np.argwhere(spine[d]).mean(0)[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_pancreas_is_one_piece_from_the_duodenum_to_the_spleen(seed):
    phantom = make(seed, shape=(80, 90, 112), spacing_mm=(2.5, 2.5, 2.5), tumor_diameter_mm=None)
    gland = mask(phantom, "pancreas", "duct", "dilated_duct", "bile_duct")
    sizes = np.bincount(label(gland)[0].ravel())[1:]
    assert sizes.max() > 0.97 * sizes.sum()  # a lobule may be cut off by a vessel
    ends = np.flatnonzero(gland.any((D, H)))
    assert center(phantom, "duodenum")[W] < center(phantom, "pancreas")[W]
    assert ends[-1] < np.flatnonzero(mask(phantom, "spleen").any((D, H)))[-1]
    near = binary_dilation(gland, iterations=3)
    assert (near & mask(phantom, "duodenum")).any()
    assert (near & mask(phantom, "portal_splenic_vein")).any()


@pytest.mark.parametrize("seed", range(6))
def test_the_pancreas_lies_inside_the_default_grid_with_a_margin(seed):
    phantom = make(seed, shape=(64, 96, 112), spacing_mm=(3.0, 3.0, 3.0), tumor_diameter_mm=None)
    box = np.argwhere(mask(phantom, "pancreas"))
    assert (box.min(0) >= 4).all()
    assert (box.max(0) < np.array(phantom.label.shape) - 4).all()


@pytest.mark.parametrize(("seed", "diameter_mm"), [(0, 8.0), (1, 14.0), (2, 24.0), (5, 50.0)])
def test_the_tumor_has_the_diameter_asked_for(seed, diameter_mm):
    phantom = make(
        seed, shape=(90, 100, 140), spacing_mm=(2.0, 2.0, 2.0), tumor_diameter_mm=diameter_mm
    )
    # Counting 2 mm voxels of a ball of 8 mm is right to about 5 % in diameter.
    assert equivalent_diameter_mm(phantom) == pytest.approx(diameter_mm, rel=0.06)
    assert phantom.tumor_diameter_mm == diameter_mm


@pytest.mark.parametrize("seed", range(5))
def test_the_tumor_touches_the_pancreas(seed):
    phantom = make(seed, shape=(64, 80, 112), spacing_mm=(3.0, 3.0, 3.0), tumor_diameter_mm=15.0)
    near = binary_dilation(mask(phantom, "tumor"), iterations=2)
    assert (near & mask(phantom, "pancreas", "duct", "dilated_duct")).any()
    assert phantom.tumor_location in {"head", "neck", "body", "tail"}


def test_the_duct_is_dilated_upstream_of_the_tumor_only(sick, healthy):
    upstream = np.flatnonzero(mask(sick, "tumor").any((D, H)))[-1] + 2
    dilated, normal = mask(sick, "duct", "dilated_duct"), mask(healthy, "duct")
    assert dilated[..., upstream:].sum() > 8 * normal[..., upstream:].sum()
    before = np.flatnonzero(mask(sick, "tumor").any((D, H)))[0]
    assert dilated[..., :before].sum() <= 1.5 * normal[..., :before].sum() + 20
    # 5 to 8 mm wide: the core of the dilated duct shows pure fluid.
    core = binary_erosion(dilated)
    assert core.any()
    assert sick.images["venous"].array[core].mean() < 45


def test_the_gland_is_atrophied_upstream_of_the_tumor(sick, healthy):
    upstream = np.flatnonzero(mask(sick, "tumor").any((D, H)))[-1] + 2
    gland, whole = mask(sick, "pancreas"), mask(healthy, "pancreas")
    assert gland[..., upstream:].sum() < 0.8 * whole[..., upstream:].sum()


def test_the_tumor_changes_nobody_else(sick, healthy):
    # Nodes with their rim of fat, and the gland's, may take a few voxels of what they touch.
    for name in ("liver", "spleen", "kidney_left", "spine", "aorta", "colon"):
        both = mask(sick, name) & mask(healthy, name)
        assert both.sum() > 0.99 * max(mask(sick, name).sum(), mask(healthy, name).sum()), name


def test_organs_have_one_size_in_millimetres_on_every_grid():
    coarse = make(4, shape=(60, 90, 110), spacing_mm=(3.0, 3.0, 3.0), tumor_diameter_mm=25.0)
    fine = make(4, shape=(90, 135, 165), spacing_mm=(2.0, 2.0, 2.0), tumor_diameter_mm=25.0)
    flat = make(4, shape=(36, 135, 165), spacing_mm=(5.0, 2.0, 2.0), tumor_diameter_mm=25.0)
    for name in ("liver", "kidney_left", "stomach", "aorta", "pancreas", "tumor", "duodenum"):
        sizes = [mask(p, name).sum() * p.label.voxel_mm3 for p in (fine, coarse, flat)]
        # Counting voxels errs by the surface: a few per cent at 3 mm for a gland 20 mm thick.
        assert sizes[1:] == pytest.approx([sizes[0]] * 2, rel=0.05), name


def test_a_larger_grid_holds_the_same_patient():
    small = make(4, shape=(20, 40, 50), spacing_mm=(4.0, 4.0, 4.0), tumor_diameter_mm=25.0)
    large = make(4, shape=(30, 60, 70), spacing_mm=(4.0, 4.0, 4.0), tumor_diameter_mm=25.0)
    inner = large.label.array[5:25, 10:50, 10:60]
    # Rounding of coordinates may flip a voxel whose centre lies on a surface.
    assert (inner == small.label.array).mean() > 0.9999
    shift = np.subtract(small.label.origin_mm, large.label.origin_mm)
    np.testing.assert_allclose(shift, (40, 40, 20), atol=1e-6)


def test_slabs_leave_no_seam(monkeypatch):
    call = {"shape": (16, 30, 40), "spacing_mm": (8.0, 9.0, 9.0), "tumor_diameter_mm": None}
    whole = make(7, **call)
    monkeypatch.setattr("core.phantom.ct.phantom.SLAB_VOXELS", 5 * 30 * 40)
    slabs = make(7, **call)
    assert (whole.label.array == slabs.label.array).mean() > 0.9999  # rounding, as above


def test_noise_differs_between_phases_and_has_no_bias(healthy):
    inside = binary_erosion(mask(healthy, "liver"), iterations=4)
    first, second = (healthy.images[phase].array[inside].astype(float) for phase in PHASES)
    assert 8 < first.std() < 25
    assert np.corrcoef(first, second)[0, 1] < 0.6


def test_nodes_are_of_clinical_size(sick):
    assert len(sick.nodes) >= 5
    for node in sick.nodes:
        assert 3 <= 2 * node.radii_mm.min() <= 12
        assert node.station in {station for station, _, _ in STATIONS}


def test_metastatic_nodes_come_with_tumors_only():
    call = {"shape": (4, 4, 4), "spacing_mm": (9.0, 9.0, 9.0)}
    sick = [make(seed, **call, tumor_diameter_mm=20.0) for seed in range(12)]
    well = [make(seed, **call, tumor_diameter_mm=None) for seed in range(12)]
    assert any(node.metastatic for p in sick for node in p.nodes)
    assert not any(node.metastatic for p in well for node in p.nodes)


@pytest.mark.parametrize("bad", [0.0, -3.0])
def test_sizes_must_be_positive(bad):
    with pytest.raises(ValueError, match="tumor_diameter_mm must be positive"):
        make(0, shape=(4, 4, 4), spacing_mm=(3.0, 3.0, 3.0), tumor_diameter_mm=bad)
    with pytest.raises(ValueError, match=r"spacing_mm\[H\] must be positive"):
        make(0, shape=(4, 4, 4), spacing_mm=(3.0, bad, 3.0), tumor_diameter_mm=None)
