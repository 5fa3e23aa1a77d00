"""What makes an organ out of a solid: a surface of its own, and the limits of the cavity."""

from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import Solid, above, intersection, lattice, rough
from core.phantom.ct.trunk import cavity, dome_mm


def shaped(patient: Patient, solid: Solid, name: str, cell_mm: float, amplitude_mm: float) -> Solid:
    """The solid with a surface of its own."""
    field = lattice(patient.stream(f"surface {name}"), solid.low, solid.high, cell_mm)
    return rough(solid, field, amplitude_mm)


def under_dome(solid: Solid) -> Solid:
    """The part of an organ below the diaphragm and inside the wall."""
    roof = above(lambda p: dome_mm(p) - 2, sign=-1)
    return intersection(solid, cavity(1.0), roof)
