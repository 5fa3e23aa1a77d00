"""Segments a picture with what `eusdaf export` wrote, without panjax: jax, flatbuffers, pillow.

python exported_eusdaf.py MODEL.npz PICTURE MASK.png
"""

import json
import sys

import numpy as np
from jax import export
from PIL import Image

model, picture, out = sys.argv[1:]
arrays = dict(np.load(model))
about = json.loads(str(arrays["about"]))


def probability(name, gray):
    """Of tumor, of each pixel; the other pictures of the batch stay black."""
    exported = export.deserialize(bytearray(arrays[f"{name}/program"]))
    prefix = f"{name}/weights/"
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    batch = np.zeros(exported.in_avals[-1].shape, np.uint8)
    batch[0] = gray
    return np.asarray(exported.call(weights, batch))[0]


def resize(array, size):
    return np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BILINEAR))


rgb = np.asarray(Image.open(picture).convert("RGB"))
gray = np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
small = resize(gray, (about["size"], about["size"]))
mean = np.mean([probability(name, small) for name in about["networks"]], axis=0)
mask = resize(mean, gray.shape[::-1]) >= about["threshold"]
print("lesion" if mask.any() else "no lesion", f"{mask.sum()} pixels")
Image.fromarray(mask).save(out)
