"""NIfTI files with known voxels and header fields, written by nibabel."""

import nibabel as nib
import numpy as np


def hu(shape=(4, 5, 6), seed=0):
    return np.random.default_rng(seed).integers(-1000, 2000, shape, np.int16)


def save(path, array, *, affine=None, **fields):
    """A file written by nibabel from (x, y, z), with header fields set as given."""
    image = nib.Nifti1Image(array, np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    if fields:
        raw = bytearray(path.read_bytes())
        header = nib.Nifti1Header(bytes(raw[:348]))
        for name, value in fields.items():
            header[name] = value
        raw[:348] = header.binaryblock
        path.write_bytes(raw)
    return path
