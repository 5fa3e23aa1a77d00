"""Lymph nodes around the vessels of the upper abdomen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import ellipsoid, lattice, rough

# Where nodes lie: (station, centre, spread) in the standard frame, mm.
STATIONS = (
    ("common hepatic artery", (-12, -68, 28), (6, 3, 4)),
    ("celiac trunk", (20, -58, 32), (6, 4, 5)),
    ("splenic artery", (58, -38, 42), (16, 8, 3)),
    ("hepatoduodenal ligament", (-36, -62, 38), (5, 3, 6)),
    ("posterior head", (-40, -40, -14), (6, 3, 12)),
    ("superior mesenteric artery", (16, -66, -30), (5, 5, 14)),
    ("para-aortic", (24, -36, -30), (3, 5, 18)),
    ("interaortocaval", (-8, -30, -24), (2, 3, 16)),
    ("left gastric artery", (26, -62, 52), (5, 6, 7)),
)


@dataclass(frozen=True)
class Node:
    """One lymph node.

    Args:
      station: the vessel it lies at.
      center_mm: (x, y, z) in the standard frame.
      radii_mm: half axes (x, y, z).
      metastatic: whether it holds tumor.
    """

    station: str
    center_mm: NDArray[np.float64]
    radii_mm: NDArray[np.float64]
    metastatic: bool


def draw_nodes(patient: Patient, with_tumor: bool) -> tuple[Node, ...]:
    """Nodes with a short axis of 3 to 12 mm; a metastatic one is larger and rounder."""
    rng = patient.stream("nodes")
    spread = with_tumor and rng.random() < 0.6
    nodes = []
    for _ in range(int(rng.integers(5, 12))):
        station, center, sigma = STATIONS[rng.integers(len(STATIONS))]
        metastatic = bool(spread and rng.random() < 0.4)
        short = rng.uniform(5, 12) if metastatic else 3 + min(rng.gamma(2.0, 1.1), 6)
        longer = rng.uniform(1.0, 1.25 if metastatic else 1.9)
        radii = rng.permuted([short / 2, short / 2 * rng.uniform(1, longer), short / 2 * longer])
        nodes.append(Node(station, rng.normal(center, sigma), radii, metastatic))
    return tuple(nodes)


def node_strokes(patient: Patient, nodes: tuple[Node, ...]) -> list[Stroke]:
    """Strokes of the nodes, each in a rim of fat."""
    out = []
    for number, node in enumerate(nodes):
        body = ellipsoid(node.center_mm, node.radii_mm)
        field = lattice(patient.stream(f"node {number}"), body.low, body.high, 4)
        solid = rough(body, field, 0.08 * float(node.radii_mm.min()))
        kind = "metastatic node" if node.metastatic else "node"
        label = "metastatic_lymph_node" if node.metastatic else "lymph_node"
        thin = float(node.radii_mm.mean())
        out.append(stroke(patient, solid, kind, label, clearance_mm=1.0, thin_mm=thin))
    return out
