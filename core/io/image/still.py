"""Pictures of one file, read by Pillow: any mode, depth and number of pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from core.errors import InputError
from core.io.image.depth import bits_needed, to_uint8
from core.io.paths import START_BYTES, refuse_stand_in
from core.volume import Frame

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp")
DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
# Above this a file of pictures claims more pixels than any ultrasound machine makes.
MAX_PIXELS = 64_000_000
WHITE_IS_ZERO = 262, 0
"""Tag of a TIFF, and its value for negatives."""
ORIENTATION = 274
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def num_pages(path: str | Path) -> int:
    """Number of pictures in a file, from its header.

    Raises:
      InputError: it is no picture, or none that can be read.
    """
    with opened(Path(path)) as image:
        return pages_of(image)


def read_image(path: str | Path) -> Frame:
    """First picture of a file, upright, gray or RGB.

    Transparent pixels lie on black. The rule for depths other than 8 bits is in `depth`; Pillow
    itself takes the 8 highest bits of 16-bit colors.

    Raises:
      InputError: the file is missing, empty, truncated, damaged, or no picture.
    """
    return next(read_pages(path))


def read_pages(path: str | Path) -> Iterator[Frame]:
    """Every picture of a file in order (a TIFF stack, an animation); see `read_image`."""
    path = Path(path)
    with opened(path) as image:
        pages = range(pages_of(image))
        bits = bits_needed(_stored(image, page) for page in pages) if _is_deep(image) else 8
        for page in pages:
            if image.tell() != page:
                image.seek(page)
            yield Frame(_shown(image, bits))


def orientation_of(path: str | Path) -> tuple[int, tuple[int, int]]:
    """How EXIF says that a picture lies, 1 … 8 where 1 is upright, and its stored (H, W).

    Raises:
      InputError: it is no picture, or none that can be read.
    """
    with opened(Path(path)) as image:
        image.load()  # some formats are turned on the way
        orientation = image.getexif().get(ORIENTATION, 1)
        return orientation if orientation in _UPRIGHT else 1, (image.height, image.width)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """A picture that lies as EXIF's `orientation` says, upright."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """The picture of a file; whatever Pillow raises becomes an `InputError`."""
    try:
        with path.open("rb") as file:
            refuse_stand_in(file.read(START_BYTES), path)
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(f"claims {image.width} by {image.height} pixels", path=path)
                yield image
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except UnidentifiedImageError:
        raise InputError(
            "not a picture that can be read", path=path, hint="save it as PNG, JPEG, TIFF or BMP"
        ) from None
    except Exception as error:  # its decoders raise many kinds, and their text is their own
        raise InputError(
            f"the picture is truncated or damaged ({type(error).__name__})",
            path=path,
            hint="fetch or export it again",
        ) from error


def pages_of(image: Image.Image) -> int:
    """Number of pictures in a file."""
    # Further pages of a phone's JPEG (MPO) are previews of the first.
    return 1 if image.format == "MPO" else getattr(image, "n_frames", 1)


def _is_deep(image: Image.Image) -> bool:
    return image.mode in DEEP_MODES and image.mode != "F"


def _stored(image: Image.Image, page: int) -> NDArray:
    image.seek(page)
    return np.asarray(image)


def _shown(image: Image.Image, bits: int) -> NDArray[np.uint8]:
    """Upright pixels (H, W) or (H, W, 3) of the page that is open."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in DEEP_MODES:
        array = to_uint8(np.asarray(upright), bits=bits)
        tags = getattr(image, "tag_v2", {})
        # Pillow turns 8-bit negatives of TIFF around and leaves deeper ones.
        return 255 - array if tags.get(WHITE_IS_ZERO[0]) == WHITE_IS_ZERO[1] else array
    if upright.mode == "1":
        return to_uint8(np.asarray(upright))
    if upright.has_transparency_data:
        opaque = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", opaque.size, "black"), opaque)
        return np.array(upright.convert("L" if image.mode == "LA" else "RGB"))
    return np.array(upright if upright.mode == "L" else upright.convert("RGB"))
