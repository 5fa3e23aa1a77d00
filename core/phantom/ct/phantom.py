"""A two-phase abdominal CT of a patient who does not exist, with the truth about every voxel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from core import check
from core.phantom.ct import gut, organs
from core.phantom.ct.nodes import Node, draw_nodes, node_strokes
from core.phantom.ct.painting import Canvas, Stroke
from core.phantom.ct.pancreas import (
    bile_duct,
    center_line,
    half_thickness,
    pancreatic_duct,
    parenchyma,
)
from core.phantom.ct.patient import Patient, draw_patient, stream
from core.phantom.ct.shapes import union
from core.phantom.ct.tissue import PHASES, attenuation
from core.phantom.ct.trunk import trunk
from core.phantom.ct.tumor import Tumor, draw_texture, draw_tumor, tumor_stroke
from core.phantom.ct.vessels import draw_vessels, great_vessels, mesentery
from core.volume import CANONICAL_DIRECTION, Volume

STRUCTURES = (
    "background",
    "body",
    "spine",
    "ribs",
    "liver",
    "gallbladder",
    "spleen",
    "kidney_left",
    "kidney_right",
    "esophagus",
    "stomach",
    "duodenum",
    "small_bowel",
    "colon",
    "aorta",
    "inferior_vena_cava",
    "portal_splenic_vein",
    "superior_mesenteric_artery",
    "celiac_trunk_splenic_artery",
    "left_gastric_artery",
    "common_hepatic_proper_hepatic_artery",
    "bile_duct",
    "pancreas",
    "duct",
    "tumor",
    "lymph_node",
    "metastatic_lymph_node",
    "dilated_duct",
)
LABELS: Mapping[str, int] = {name: value for value, name in enumerate(STRUCTURES)}
SLAB_VOXELS = 4_000_000  # painted at once; bounds the memory of a fine grid


@dataclass(frozen=True)
class Phantom:
    """CT of one patient in all contrast phases, with its label map and ground truth.

    Args:
      images: HU (D, H, W) int16 of each phase, "arterial" and "venous", on one grid.
      label: `LABELS` (D, H, W) uint8 on that grid.
      seed: what it was made from.
      tumor_diameter_mm: of the ball of equal volume; None for a healthy pancreas.
      tumor_location: head, neck, body or tail; None for a healthy pancreas.
      nodes: every lymph node, also those outside the grid.
    """

    images: Mapping[str, Volume]
    label: Volume
    seed: int
    tumor_diameter_mm: float | None
    tumor_location: str | None
    nodes: tuple[Node, ...]

    @property
    def is_metastatic(self) -> bool:
        """Whether a lymph node of the patient holds tumor."""
        return _spread(self.nodes)


def make(
    seed: int,
    *,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    tumor_diameter_mm: float | None,
    metastatic_texture: bool = False,
) -> Phantom:
    """One patient in both contrast phases; the same patient on every grid.

    Args:
      seed: decides everything about the patient.
      shape: voxels (D, H, W), centred on the pancreas.
      spacing_mm: voxel size (D, H, W).
      tumor_diameter_mm: of the ball with the tumor's volume; None for a healthy pancreas.
      metastatic_texture: every tumor has a texture of its own, more uneven where it has spread to a
        lymph node; otherwise all have the same.

    Returns:
      The scan; equal arguments give equal arrays.
    """
    for name, value in zip("DHW", spacing_mm, strict=True):
        check.positive(f"spacing_mm[{name}]", value)
    if tumor_diameter_mm is not None:
        check.positive("tumor_diameter_mm", tumor_diameter_mm)
    patient = draw_patient(seed)
    strokes, tumor, nodes = anatomy(patient, tumor_diameter_mm, metastatic_texture)
    hu, label = _render(patient, strokes, shape, spacing_mm)
    hu += _noise(seed, hu.shape, spacing_mm)
    voxels = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    grid = Volume(label, spacing_mm, _origin(seed, shape, spacing_mm), CANONICAL_DIRECTION)
    return Phantom(
        images={phase: grid.with_array(v) for phase, v in zip(PHASES, voxels, strict=True)},
        label=grid,
        seed=seed,
        tumor_diameter_mm=tumor_diameter_mm,
        tumor_location=None if tumor is None else tumor.location,
        nodes=nodes,
    )


def anatomy(
    patient: Patient, tumor_diameter_mm: float | None, metastatic_texture: bool = False
) -> tuple[list[Stroke], Tumor | None, tuple[Node, ...]]:
    """Strokes of the whole patient in painting order, with the tumor and the nodes."""
    hilum = organs.spleen_hilum(patient)
    line = center_line(patient, hilum)
    vessels = draw_vessels(patient, line[len(line) // 3 :], hilum)
    tumor = None
    if tumor_diameter_mm is not None:
        blocked = union(
            vessels.aorta,
            vessels.vena_cava,
            vessels.portal_splenic_vein,
            vessels.superior_mesenteric_artery,
            vessels.celiac_trunk_splenic_artery,
            vessels.common_hepatic_proper_hepatic_artery,
        )
        healthy = half_thickness(patient, line, None)
        tumor = draw_tumor(patient, line, healthy, tumor_diameter_mm, blocked)
    radii = half_thickness(patient, line, None if tumor is None else tumor.fraction)
    nodes = draw_nodes(patient, tumor is not None)
    texture = draw_texture(patient, _spread(nodes)) if metastatic_texture else None
    strokes = [
        *trunk(patient),
        *mesentery(patient, vessels),
        *organs.liver(patient),
        *organs.spleen(patient),
        *organs.kidneys(patient),
        *gut.stomach(patient),
        *gut.colon(patient),
        *gut.small_bowel(patient),
        *gut.duodenum(patient),
        *node_strokes(patient, nodes),
        *parenchyma(patient, line, radii),
        bile_duct(patient, tumor),
        *pancreatic_duct(patient, line, radii, tumor),
        *([] if tumor is None else [tumor_stroke(patient, tumor, texture)]),
        *great_vessels(patient, vessels),
    ]
    return strokes, tumor, nodes


def _spread(nodes: tuple[Node, ...]) -> bool:
    return any(node.metastatic for node in nodes)


def _render(
    patient: Patient,
    strokes: list[Stroke],
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Attenuation (phase, D, H, W) without noise, and labels (D, H, W), slab by slab."""
    z, y, x = (
        (np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing_mm, strict=True)
    )
    tissue_hu = attenuation(patient.seed)
    depth = max(1, SLAB_VOXELS // (shape[1] * shape[2]))
    hu = np.empty((len(PHASES), *shape), np.float32)
    label = np.empty(shape, np.uint8)
    for start in range(0, shape[0], depth):
        slab = slice(start, start + depth)
        points = patient.points((x, y, z[slab]))
        canvas = Canvas(points, float(np.mean(spacing_mm)), tissue_hu, LABELS)
        for stroke in strokes:
            canvas.paint(stroke)
        hu[:, slab], label[slab] = canvas.hu, canvas.label
    return hu, label


def _noise(
    seed: int, shape: tuple[int, ...], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Quantum noise with the grain of a soft-tissue kernel, independent in each phase."""
    rng = stream(seed, "noise")
    level = rng.uniform(9, 16)
    noise = rng.standard_normal(shape, np.float32)
    grain_mm = (0.5, 0.75, 0.75)
    for phase in noise:
        gaussian_filter(
            phase, [g / s for g, s in zip(grain_mm, spacing_mm, strict=True)], output=phase
        )
        phase *= level / phase.std()
    return noise


def _origin(
    seed: int, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]
) -> tuple[float, float, float]:
    """LPS position of the first voxel; the patient lies somewhere on the couch."""
    rng = stream(seed, "couch position")
    center = np.round(rng.uniform((-12, -20, -900), (12, 20, -100)), 1)
    extent = np.array([(n - 1) * s for n, s in zip(shape, spacing_mm, strict=True)])[::-1]
    x, y, z = center - extent / 2
    return float(x), float(y), float(z)
