import nibabel as nib
import numpy as np
import pytest

from core.io import nifti
from core.volume import Volume
from tests.core.io.nifti_files import hu, save


def test_trailing_axes_of_one_are_dropped_and_written_back(tmp_path):
    path = save(tmp_path / "a.nii.gz", hu()[..., None])
    volume = nifti.read(path)
    assert volume.shape == (6, 5, 4)
    again = nifti.write_like(tmp_path / "b.nii.gz", volume.array, path)
    assert nib.load(again).shape == (4, 5, 6, 1)


def test_write_like_carries_no_text_and_no_extension(shared_data, tmp_path):
    source = shared_data / "ct_abdomen" / "example_ct_sm_seg.nii.gz"
    path = nifti.write_like(tmp_path / "a.nii.gz", nifti.read_label(source).array, source)
    assert len(nib.load(source).header.extensions) == 1
    assert len(nib.load(path).header.extensions) == 0
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(source).affine)
    named = save(tmp_path / "b.nii", hu(), descrip=b"DOE^JOHN")
    clean = nifti.write_like(tmp_path / "c.nii", nifti.read(named).array, named)
    assert b"DOE" not in clean.read_bytes()


def test_write_like_refuses_another_shape(tmp_path):
    path = save(tmp_path / "a.nii", hu())
    with pytest.raises(ValueError, match="does not fit"):
        nifti.write_like(tmp_path / "b.nii", np.zeros((4, 5, 6), np.uint8), path)


def test_equal_voxels_give_equal_bytes(tmp_path):
    volume = Volume(hu(), (1, 2, 3), (4, 5, 6), np.eye(3))
    first, second = (nifti.write(tmp_path / n, volume) for n in ("a.nii.gz", "b.nii.gz"))
    assert first.read_bytes() == second.read_bytes()


def test_a_mask_is_stored_as_uint8(tmp_path):
    path = nifti.write(tmp_path / "a.nii", Volume(hu() > 0, (1, 2, 3), (4, 5, 6), np.eye(3)))
    assert nib.load(path).get_data_dtype() == np.uint8
    np.testing.assert_array_equal(nifti.read_label(path).array, hu() > 0)


def test_a_sheared_grid_survives(tmp_path):
    direction = np.array([[0, 0, 1], [np.sin(0.3), 1, 0], [np.cos(0.3), 0, 0]])
    path = nifti.write(tmp_path / "a.nii", Volume(hu(), (2, 1, 1), (0, 0, 0), direction))
    np.testing.assert_allclose(nifti.read(path).direction, direction, atol=1e-6)  # float32 header
