"""Screens a CT with what `s4c export` wrote, without panjax: jax, flatbuffers, nibabel.

python exported_s4c.py MODEL.npz CT.nii.gz LABEL.nii.gz
"""

import itertools
import json
import sys

import jax
import nibabel as nib
import numpy as np
from jax import export
from scipy import ndimage  # comes with jax

model, ct, out = sys.argv[1:]
arrays = dict(np.load(model))
about = json.loads(str(arrays["about"]))


def slide(name, window, stride, image):
    """Class probabilities (d, h, w, k): the mean over overlapping windows."""
    exported = export.deserialize(bytearray(arrays[f"{name}/program"]))
    ask, (*_, batch_of) = jax.jit(exported.call), exported.in_avals
    prefix = f"{name}/weights/"
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    missing = [max(0, window - n) for n in image.shape]
    padded = np.pad(image, [(m // 2, m - m // 2) for m in missing])
    ends = [n - window for n in padded.shape]
    starts = itertools.product(*([*range(0, end, stride), end] for end in ends))
    places = [tuple(slice(a, a + window) for a in start) for start in starts]
    sums, counts = 0, np.zeros(padded.shape, np.float32)
    for i in range(0, len(places), batch_of.shape[0]):
        some, windows = places[i : i + batch_of.shape[0]], np.zeros(batch_of.shape, np.float32)
        windows[: len(some), ..., 0] = [padded[place] for place in some]
        ballots = np.asarray(ask(weights, windows))
        sums = np.zeros((*padded.shape, ballots.shape[-1]), ballots.dtype) if i == 0 else sums
        for place, ballot in zip(some, ballots, strict=False):
            sums[place] += ballot
            counts[place] += 1
    inside = tuple(slice(m // 2, m // 2 + n) for m, n in zip(missing, image.shape, strict=True))
    return (sums / counts[..., None])[inside]


def clean(label):
    """Without the components that are small beside the largest, and far from it."""
    ids, _ = ndimage.label(label)
    sizes, rule = np.bincount(ids[ids > 0])[1:], about["decision"]
    if not sizes.size:
        return label
    kept = (sizes > rule["component_fraction"] * sizes.max()) | (sizes == sizes.max())
    if rule["near_voxels"]:
        distance = ndimage.distance_transform_edt(ids != 1 + sizes.argmax())
        kept[np.unique(ids[(distance < rule["near_voxels"]) & (ids > 0)]) - 1] = True
    return np.where(np.append(False, kept)[ids], label, 0)


file, lps = nib.load(ct), nib.orientations.axcodes2ornt("LPS")
own = nib.io_orientation(file.affine)
to_lps = nib.orientations.ornt_transform(own, lps)
hu = nib.apply_orientation(np.asanyarray(file.dataobj), to_lps).T  # (d, h, w): head, back, left
seen = np.clip(hu, *about["window_hu"])
mean, std = seen.mean(dtype=np.float64), seen.std(dtype=np.float64)
image = (seen.astype(np.float32) - np.float32(mean)) * np.float32(1 / std if std else 1)
coarse, *fine = about["networks"]
probs = slide(**coarse, image=image)
label = probs.argmax(-1).astype(np.uint8)
around = np.argwhere(clean(label) if about["decision"]["filter_before_roi"] else label)
if len(around) and fine:
    margin = about["roi_margin"]
    start, stop = np.maximum(0, around.min(0) - margin), around.max(0) + 1 + margin
    roi = tuple(map(slice, start, stop))
    inside = sum([slide(**network, image=image[roi]) for network in fine], probs[roi])
    label[roi] = inside.argmax(-1)
label = clean(label)
num_tumor, num_duct = (label == 2).sum(), (label == 3).sum()
least, least_duct = (about["decision"][f"min_{name}_voxels"] for name in ("tumor", "duct"))
positive = num_tumor >= least or 0 < least_duct <= num_duct
print(about["decision"]["positive"] if positive else "normal", f"{num_tumor} tumor voxels")
back = nib.orientations.ornt_transform(lps, own)
nib.save(nib.Nifti1Image(nib.apply_orientation(label.T, back), file.affine), out)
