"""NRRD and MetaImage as SimpleITK writes and reads them."""

import itertools

import numpy as np
import pytest

from core.io import nifti
from core.io.metaimage import write_metaimage
from core.volume import Volume

pytestmark = pytest.mark.parity
sitk = pytest.importorskip("SimpleITK")

HU = np.random.default_rng(0).integers(-1000, 1500, (9, 12, 14))
DIRECTIONS = {
    "axial": np.eye(3),
    "oblique": np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "flipped": np.diag([-1.0, -1, 1]),
}
ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")
TYPES = (np.int16, np.uint16, np.int32, np.float32, np.float64)


def agrees(path, image):
    """Whether we see the voxels of SimpleITK where it sees them."""
    volume = nifti.read(path)
    np.testing.assert_array_equal(volume.array, sitk.GetArrayFromImage(image))
    columns = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    ours = volume.affine_lps[:, [2, 1, 0, 3]]
    # Our header holds float32.
    np.testing.assert_allclose(ours[:3, :3], columns, atol=1e-6)
    np.testing.assert_allclose(ours[:3, 3], image.GetOrigin(), rtol=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("ending", "packed"), list(itertools.product(ENDINGS, (False, True))))
def test_what_simpleitk_writes_is_read_as_it_reads_it(tmp_path, direction, ending, packed):
    for dtype in TYPES:
        values = np.abs(HU) - 1000 if dtype != np.uint16 else np.abs(HU) + 2**15
        image = sitk.GetImageFromArray(values.astype(dtype)[:, :10, :10])  # too few to judge
        image.SetSpacing((0.7031, 0.8, 2.5))
        image.SetOrigin((-249.51171875, 31.7, 1234.5))
        image.SetDirection(DIRECTIONS[direction].ravel())
        path = tmp_path / f"a{ending}"
        sitk.WriteImage(image, str(path), packed)
        agrees(path, sitk.ReadImage(str(path)))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_we_write_simpleitk_reads(tmp_path, direction):
    path = tmp_path / "a.mha"
    values = np.random.default_rng(1).random((4, 5, 6), np.float32)
    columns = np.array(DIRECTIONS[direction], float)
    volume = Volume(values, (2.5, 0.8, 0.7031), (-249.5, 31.7, 1234.5), columns[:, ::-1])
    write_metaimage(path, volume)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    np.testing.assert_allclose(image.GetSpacing(), (0.7031, 0.8, 2.5))
    np.testing.assert_allclose(image.GetOrigin(), volume.origin_mm)
    np.testing.assert_allclose(image.GetDirection(), columns.ravel(), atol=1e-12)
    agrees(path, image)


@pytest.mark.parametrize("space", ["LPS", "right-anterior-superior", "left-anterior-superior"])
def test_spaces_and_big_endian_are_read_as_simpleitk_does(tmp_path, space):
    path = tmp_path / "a.nrrd"
    header = (
        f"NRRD0004\ntype: short\ndimension: 3\nspace: {space}\nsizes: 14 12 9\nendian: big\n"
        "space directions: (0.6,0.8,0) (-0.8,0.6,0) (0,0,2.5)\nspace origin: (1,-2,3)\n"
        "kinds: domain domain domain\nencoding: raw\n\n"
    )
    path.write_bytes(header.encode() + HU.astype(">i2").tobytes())
    agrees(path, sitk.ReadImage(str(path)))


def test_a_segmentation_lies_where_simpleitk_sees_the_scan(tmp_path):
    image = sitk.GetImageFromArray(HU.astype(np.int16))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-100, 20, 300))
    image.SetDirection(DIRECTIONS["oblique"].ravel())
    for ending in ENDINGS:
        source = tmp_path / f"a{ending}"
        sitk.WriteImage(image, str(source))
        written = nifti.write_like(tmp_path / "label.nii.gz", (HU > 0).astype(np.uint8), source)
        label = sitk.ReadImage(str(written))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(label), HU > 0)
        np.testing.assert_allclose(label.GetOrigin(), image.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(label.GetSpacing(), image.GetSpacing(), rtol=1e-6)
        np.testing.assert_allclose(label.GetDirection(), image.GetDirection(), atol=1e-6)
