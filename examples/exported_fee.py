"""Diagnoses a CT with what `fee export` wrote, without panjax: jax, flatbuffers, nibabel, pillow.

python exported_fee.py MODEL.npz CT.nii.gz MASK.nii.gz
"""

import json
import sys

import jax
import nibabel as nib
import numpy as np
from jax import export
from PIL import Image

model, ct, out = sys.argv[1:]
arrays = dict(np.load(model))
about = json.loads(str(arrays["about"]))
size, thresholds = about["size"], about["thresholds"]


def ask(name, *slices):
    """Probability of every slice or pixel, a batch at a time."""
    exported = export.deserialize(bytearray(arrays[f"{name}/program"]))
    call, batch = jax.jit(exported.call), exported.in_avals[-1].shape[0]
    prefix = f"{name}/weights/"
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    num, answers = len(slices[0]), []
    for i in range(0, num, batch):
        filled = [np.zeros((batch, size, size), np.uint8) for _ in slices]
        for full, given in zip(filled, slices, strict=True):
            full[: num - i] = given[i : i + batch]
        answers.extend(np.asarray(call(weights, *filled))[: num - i])
    return np.array(answers, np.float32)


file, lps = nib.load(ct), nib.orientations.axcodes2ornt("LPS")
own = nib.io_orientation(file.affine)
to_lps = nib.orientations.ornt_transform(own, lps)
hu = nib.apply_orientation(np.asanyarray(file.dataobj), to_lps).T  # (d, h, w): head, back, left
low, high = about["window_hu"]
gray = np.rint((np.clip(hu, low, high).astype(np.float32) - low) / (high - low) * 255)
small = [Image.fromarray(s).resize((size, size), Image.BILINEAR) for s in gray.astype(np.uint8)]
image = np.stack([np.asarray(picture) for picture in small])
located = np.flatnonzero(ask("locate", image) >= thresholds["locate"])
mask = np.zeros_like(image)
if located.size:
    mask[located] = ask("segment", image[located]) >= thresholds["segment"]
voting = np.flatnonzero(mask.any((1, 2)))
score, is_tumor = 0.0, False
if voting.size:
    probs = ask("diagnose", image[voting], mask[voting]).astype(np.float64)
    by_mean = about["rule"] == "mean"
    score = (probs if by_mean else probs >= thresholds["diagnose"]).mean()
    is_tumor = score >= (thresholds["diagnose"] if by_mean else 0.5)
print("tumor" if is_tumor else "normal", f"score {score:.6f}")
rows, columns = ((2 * np.arange(n) + 1) * size // (2 * n) for n in hu.shape[1:])
label = mask[:, rows][:, :, columns]
back = nib.orientations.ornt_transform(lps, own)
nib.save(nib.Nifti1Image(nib.apply_orientation(label.T, back), file.affine), out)
