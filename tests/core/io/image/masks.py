"""Files of masks, written and read with what is remarked on them."""

from PIL import Image

from core.io import remarks
from core.io.image.mask import read_mask


def saved(path, image, **options):
    """A file of a picture, or of its array."""
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    image.save(path, **options)
    return path


def read(path, *, shape, **options):
    """Mask of a file, and what was remarked on it."""
    with remarks.kept() as lines:
        mask = read_mask([path], shape=shape, **options)
    return mask, [line.removeprefix(f"{path}: ") for line in lines]
