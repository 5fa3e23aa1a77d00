"""Answers about registered phases with what `lnmet export` wrote: jax, flatbuffers, nibabel.

python exported_lnmet.py MODEL.npz LABEL.nii.gz arterial=A.nii.gz venous=V.nii.gz
"""

import functools
import json
import sys

import jax
import nibabel as nib
import numpy as np
from jax import export
from scipy import ndimage  # comes with jax

model, out, *named = sys.argv[1:]
arrays = dict(np.load(model))
networks = json.loads(str(arrays["about"]))["networks"]
paths = dict(text.split("=", 1) for text in named)
files = {phase: nib.load(paths[phase]) for network in networks for phase in network["phases"]}
file, lps = files.get("venous") or files["arterial"], nib.orientations.axcodes2ornt("LPS")
own = nib.io_orientation(file.affine)
to_lps = nib.orientations.ornt_transform(own, lps)
canonical = {  # (d, h, w): head, back, left
    phase: nib.apply_orientation(np.asanyarray(f.dataobj), to_lps).T for phase, f in files.items()
}
shape = next(iter(canonical.values())).shape
mm = np.abs(file.header.get_zooms())[own[:, 0].argsort()][::-1]


def of(target):
    return [network for network in networks if network["target"] == target]


@functools.cache
def program(name):
    exported = export.deserialize(bytearray(arrays[f"{name}/program"]))
    prefix, call = f"{name}/weights/", jax.jit(exported.call)
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return lambda *inputs: np.asarray(call(weights, *inputs))


def grid(network):
    """Voxels (d, h, w) that a network sees."""
    spacing = network["spacing_mm"]
    size = tuple(max(1, round(a / b * n)) for a, b, n in zip(mm, spacing, shape, strict=True))
    if size != shape and max(max(mm) / min(mm), max(spacing) / min(spacing)) > 3:
        sys.exit("slices as thick as these are resampled one by one, which this script does not do")
    return size


def regrid(array, size, order):
    if array.shape == size:
        return array
    factors = [new / old for new, old in zip(size, array.shape, strict=True)]
    new = ndimage.zoom(array.astype("f4"), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(new, array.min(), array.max())


def most(probs, size):
    return np.argmax([regrid(p, size, 1) for p in np.moveaxis(probs, -1, 0)], 0).astype(np.uint8)


def seen(label, size, num):
    return most(np.stack([label == i for i in range(num)], -1), size)


@functools.cache
def hu(phase, size):
    return regrid(canonical[phase], size, 3)


def image(network):
    phases = [hu(phase, grid(network)) for phase in network["phases"]]
    return np.stack(phases, -1).astype(np.float32)


def mean(target, *inputs):
    return np.mean([program(n["name"])(image(n), *inputs) for n in of(target)], 0)


label = most(mean("organs"), shape) if of("organs") else np.zeros(shape, np.uint8)
tumor = most(mean("pdac"), shape) == 1 if of("pdac") else np.zeros(shape, bool)
label[tumor] = 11
largest = 0.0
for rule in of("nodes")[:1]:
    size, box, gate = grid(rule), (slice(None),) * 3, []
    if of("organs"):
        known = seen(np.where(label == 11, 5, label), size, 11)  # a tumor belongs to the pancreas
        margin = np.ceil(rule["margin_mm"] / np.array(rule["spacing_mm"])).astype(int)
        if len(around := np.argwhere(known)):
            start, stop = np.maximum(0, around.min(0) - margin), around.max(0) + 1 + margin
            box = tuple(map(slice, start, stop))
        if rule["attention"]:
            gate = [program("attention")(known[box]).astype(np.float16)[..., None]]
    whole = np.zeros(size, np.float32)
    inputs = [np.concatenate([image(n)[box], *gate], -1, dtype=np.float32) for n in of("nodes")]
    asked = zip(of("nodes"), inputs, strict=True)
    whole[box] = np.mean([program(n["name"])(x)[..., 1] for n, x in asked], 0)
    ids, _ = ndimage.label(regrid(whole, shape, 1) >= rule["threshold"], np.ones((3, 3, 3)))
    volumes = np.bincount(ids.ravel()) * np.prod(mm, dtype=float)
    large = volumes >= rule["min_node_mm3"] * (1 - 1e-6)
    label[large[ids] & (ids > 0)] = 12
    for node in np.flatnonzero(large[1:]) + 1 if of("identification") else []:
        voxels = np.argwhere(ids == node)
        middle = voxels[np.abs(voxels - voxels.mean(0)).sum(1).argmin()].astype(np.int32)
        told = mean("identification", ids.astype(np.int32), np.int32(node), middle)
        if told >= of("identification")[0]["threshold"]:
            label[ids == node] = 13
            largest = max(largest, volumes[node])
print({i: int((label == i).sum()) for i in np.unique(label).tolist()})
for rule in of("status")[:1]:
    of_tumor = seen(tumor, grid(rule), 2) == 1
    score = mean("status", of_tumor, np.float32(largest)) if of_tumor.any() else None
    decision = "positive" if score and score >= rule["threshold"] else "negative"
    print("not told" if score is None else f"{decision} {score}")
back = nib.orientations.ornt_transform(lps, own)
nib.save(nib.Nifti1Image(nib.apply_orientation(label.T, back), file.affine), out)
