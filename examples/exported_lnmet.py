"""Segments registered phases by what `lnmet export` wrote: jax, flatbuffers, nibabel, no panjax.

python exported_lnmet.py MODEL.npz LABEL.nii.gz arterial=A.nii.gz venous=V.nii.gz
"""

import itertools
import json
import sys

import jax
import nibabel as nib
import numpy as np
from jax import export
from scipy import ndimage  # comes with jax

model, out, *named = sys.argv[1:]
arrays = dict(np.load(model))
about = json.loads(str(arrays["about"]))
seen_phases = {phase for network in about["networks"] for phase in network["phases"]}
paths = dict(text.split("=", 1) for text in named)
files = {phase: nib.load(paths[phase]) for phase in seen_phases}


def program(name):
    """A network as a function of windows, or of organs; and the shape that it takes."""
    exported = export.deserialize(bytearray(arrays[f"{name}/program"]))
    prefix, call = f"{name}/weights/", jax.jit(exported.call)
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return lambda x: np.asarray(call(weights, x)), exported.in_avals[-1].shape


def slide(network, channels):
    """Class probabilities (d, h, w, k): overlapping windows, weighted towards their middle."""
    window, shape = network["window"], channels[0].shape
    missing = [max(0, w - n) for w, n in zip(window, shape, strict=True)]
    widths, fills = [(m // 2, m - m // 2) for m in missing], [*network["outside_hu"], 0]
    padded = [np.pad(c, widths, constant_values=f) for c, f in zip(channels, fills, strict=False)]
    image = np.stack(padded, -1).astype(np.float32)
    axes = [
        np.rint(np.linspace(0, n - w, -(-(n - w) // s) + 1)).astype(int)
        for n, w, s in zip(image.shape, window, network["stride"], strict=False)
    ]
    middle = [np.exp(-0.5 * ((np.arange(w) - w // 2) / (w / 8)) ** 2) for w in window]
    importance = np.einsum("i,j,k->ijk", *middle)[..., None].astype(np.float32)
    (ask, batch), sums, total = program(network["name"]), 0, np.zeros((*image.shape[:3], 1))
    places = [tuple(map(slice, a, np.add(a, window))) for a in itertools.product(*axes)]
    for i in range(0, len(places), batch[0]):
        some, windows = places[i : i + batch[0]], np.zeros(batch, np.float32)
        windows[: len(some)] = [image[place] for place in some]
        ballots = ask(windows)
        sums = np.zeros((*image.shape[:3], ballots.shape[-1]), np.float32) if i == 0 else sums
        for place, ballot in zip(some, ballots, strict=False):
            sums[place] += ballot
            total[place] += importance
    return (sums / total)[tuple(slice(a, a + n) for (a, _), n in zip(widths, shape, strict=True))]


def regrid(array, shape, order):
    if array.shape == shape:
        return array
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    new = ndimage.zoom(array.astype("f4"), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(new, array.min(), array.max())


def most(probs, shape):
    return np.argmax([regrid(p, shape, 1) for p in np.moveaxis(probs, -1, 0)], 0).astype(np.uint8)


def answer(target, box=(), attention=None):
    """Mean over the folds of a target; None where no network segments it."""
    networks = [n for n in about["networks"] if n["target"] == target]
    channels = [[hu[phase][box] for phase in n["phases"]] for n in networks]
    gates = [[attention[box]] if n["attention"] else [] for n in networks]
    probs = [slide(n, c + g) for n, c, g in zip(networks, channels, gates, strict=True)]
    return np.mean(probs, 0) if probs else None


file, lps = files.get("venous") or files["arterial"], nib.orientations.axcodes2ornt("LPS")
own, spacing = nib.io_orientation(file.affine), about["spacing_mm"]
to_lps = nib.orientations.ornt_transform(own, lps)
canonical = {  # (d, h, w): head, back, left
    phase: nib.apply_orientation(np.asanyarray(f.dataobj), to_lps).T for phase, f in files.items()
}
shape = next(iter(canonical.values())).shape
mm = np.abs(file.header.get_zooms())[own[:, 0].argsort()][::-1]
grid = tuple(max(1, round(a / b * n)) for a, b, n in zip(mm, spacing, shape, strict=True))
if grid != shape and max(max(mm) / min(mm), max(spacing) / min(spacing)) > 3:
    sys.exit("slices as thick as these are resampled one by one, which this script does not do")
hu = {phase: regrid(array, grid, 3) for phase, array in canonical.items()}

label, organs = np.zeros(shape, np.uint8), answer("organs")
if organs is not None:
    label = most(organs, shape)
if (tumor := answer("pdac")) is not None:
    label[most(tumor, shape) == 1] = 11
box, attention, known = (slice(None),) * 3, None, label.copy()
known[known == 11] = 5  # a tumor belongs to the pancreas
if known.any():
    seen = most(np.stack([known == i for i in range(11)], -1), grid)
    around, margin = np.argwhere(seen), np.ceil(np.array(about["margin_mm"]) / spacing).astype(int)
    start, stop = np.maximum(0, around.min(0) - margin), around.max(0) + 1 + margin
    box = tuple(map(slice, start, stop))
if "attention/program" in arrays:
    attention = np.zeros(grid, np.float16)
    attention[box] = program("attention")[0](seen[box] if known.any() else known)
if (nodes := answer("nodes", box, attention)) is not None:
    whole = np.zeros(grid, np.float32)
    whole[box] = nodes[..., 1]
    rule = next(n for n in about["networks"] if n["target"] == "nodes")
    ids, _ = ndimage.label(regrid(whole, shape, 1) >= rule["threshold"], np.ones((3, 3, 3)))
    large = np.bincount(ids.ravel()) * np.prod(mm, dtype=float) >= rule["min_node_mm3"] * (1 - 1e-6)
    label[large[ids] & (ids > 0)] = 12
print({i: int((label == i).sum()) for i in np.unique(label)})
back = nib.orientations.ornt_transform(lps, own)
nib.save(nib.Nifti1Image(nib.apply_orientation(label.T, back), file.affine), out)
