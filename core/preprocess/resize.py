"""Pictures, masks and probability maps at another size, by area-weighted linear interpolation.

Making a picture smaller averages what falls into a pixel (a triangle filter as wide as the new
pixels), so that speckle does not alias; making it larger interpolates. Size (h, w) both ways: what
resizing a mask down and up again loses is a line along its border.
"""

import numpy as np
from jaxtyping import Bool, Float, Shaped, UInt8
from PIL import Image

Size = tuple[int, int]


def resize_gray(picture: UInt8[np.ndarray, "h w"], size: Size) -> UInt8[np.ndarray, "p q"]:
    """Resize a gray image to `size` (rows, columns)."""
    if picture.shape == size:
        return picture
    return np.asarray(
        Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    )


def resize_map(values: Shaped[np.ndarray, "h w"], size: Size) -> Float[np.ndarray, "p q"]:
    """Resize a real-valued map, such as probabilities, to `size` (rows, columns), in float32."""
    values = np.asarray(values, np.float32)
    if values.shape == size:
        return values
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def resize_mask(mask: Bool[np.ndarray, "h w"], size: Size) -> Bool[np.ndarray, "p q"]:
    """Resize a mask to `size` (rows, columns): 1 and 0 interpolated as `resize_map` does, cut at ½.

    Made smaller, a pixel is weighed with its neighborhood by a triangle twice as wide as itself, so
    a thin structure may vanish that covers half of the pixel alone.
    """
    return mask if mask.shape == size else resize_map(mask, size) >= 0.5
