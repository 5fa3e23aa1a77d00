"""Screens a CT with what `s4c export` wrote, without panjax: jax, flatbuffers, nibabel.

python exported_s4c.py MODEL.npz CT.nii.gz LABEL.nii.gz
"""

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
rule = about["decision"]


def ask(name, image):
    exported = export.deserialize(bytearray(arrays[f"{name}/program"]))
    prefix = f"{name}/weights/"
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return np.asarray(jax.jit(exported.call)(weights, image))


def clean(label):
    """Without the components that are small beside the largest, and far from it."""
    ids, _ = ndimage.label(label)
    sizes = np.bincount(ids.ravel())
    sizes[0] = 0
    kept = (sizes > rule["component_fraction"] * sizes.max()) | (sizes == sizes.max())
    if rule["near_voxels"]:
        distance = ndimage.distance_transform_edt(ids != sizes.argmax())
        kept[np.unique(ids[distance < rule["near_voxels"]])] = True
    return np.where(kept[ids], label, 0)


def box(label, margin, step=1):
    """Start and stop around a pancreas, as multiples of a step."""
    voxels = np.argwhere(label)
    start = np.maximum(0, voxels.min(0) - margin)
    stop = np.minimum(label.shape, voxels.max(0) + 1 + margin)
    return start // step * step, -(-stop // step) * step


file, lps = nib.load(ct), nib.orientations.axcodes2ornt("LPS")
own = nib.io_orientation(file.affine)
to_lps = nib.orientations.ornt_transform(own, lps)
hu = nib.apply_orientation(np.asanyarray(file.dataobj), to_lps).T  # (d, h, w): head, back, left
hu = np.clip(hu, *about["window_hu"])
mean, std = hu.mean(dtype=np.float64), hu.std(dtype=np.float64)
image = (hu.astype(np.float32) - np.float32(mean)) * np.float32(1 / std if std else 1)
coarse, *fine = about["networks"]
probs = ask(coarse, image[..., None])
label = probs.argmax(-1).astype(np.uint8)
pancreas = clean(label) if rule["filter_before_roi"] else label
if fine and pancreas.any():
    roi = tuple(map(slice, *box(pancreas, about["roi_margin"])))
    label[roi] = sum([ask(name, image[roi][..., None]) for name in fine], probs[roi]).argmax(-1)
label = clean(label)
num_tumor, num_duct = (label == 2).sum(), (label == 3).sum()
positive = num_tumor >= rule["min_tumor_voxels"] or 0 < rule["min_duct_voxels"] <= num_duct
found = f"{num_tumor} tumor voxels"
if classifier := about.get("classifier"):
    score, halo = 0.0, classifier["halo"]
    if label.any():
        start, stop = box(label, classifier["roi_margin"], classifier["cell"])
        padded = np.pad(image, [(halo, halo + classifier["cell"])] * 3)
        region = padded[tuple(map(slice, start, stop + 2 * halo))]
        score = ask("classifier", region)
    positive, found = score >= classifier["threshold"], f"score {score:.6f}"
print(rule["positive"] if positive else "normal", found)
back = nib.orientations.ornt_transform(lps, own)
nib.save(nib.Nifti1Image(nib.apply_orientation(label.T, back), file.affine), out)
