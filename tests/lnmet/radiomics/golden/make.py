"""Features of a phantom as PyRadiomics 3.0.1, SciPy 1.16 and trimesh 5.2 give them.

    pip install 'setuptools<72' wheel 'numpy<3' 'scipy<1.17' scikit-image trimesh
    pip install --no-build-isolation pyradiomics==3.0.1
    python -m tests.lnmet.radiomics.golden.make

These are PyRadiomics's own release and SciPy's own spherical harmonics, over the whole image; 3.1.0
computes the same and cannot be built from PyPI.
"""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_name("features.npy")
SPACING_MM = (0.8, 0.68, 0.68)


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """HU int16 and mask of an ellipsoid, in integers throughout: the same on every machine."""
    shape = (48, 54, 58)
    noise = np.random.default_rng(0).integers(-160, 161, shape)
    for axis in range(3):
        noise = noise + np.roll(noise, 1, axis)
    d, h, w = np.indices(shape)
    inside = 100 * (d - 22) ** 2 + 50 * (h - 27) ** 2 + 40 * (w - 30) ** 2 <= 100 * 4**2
    hu = 90 + noise // 8 - 30 * inside
    hu[0, 0, 0], hu[-1, -1, -1] = 1500, -1000  # bone and air, out of the tumor's box
    return hu.astype(np.int16), inside


def main() -> None:
    """Write the values of one execution, in PyRadiomics's order."""
    import SimpleITK as sitk
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    hu, inside = phantom()
    images = [sitk.GetImageFromArray(array) for array in (hu, inside.astype(np.uint8))]
    for image in images:
        image.SetSpacing(SPACING_MM[::-1])
    extractor = RadiomicsFeatureExtractor(additionalInfo=False)
    extractor.enableAllImageTypes()
    np.save(GOLDEN, [float(value) for value in extractor.execute(*images).values()])


if __name__ == "__main__":
    main()
