"""The solid organs around the pancreas: liver, spleen, kidneys and adrenals."""

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.curves import along, curve
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import (
    Solid,
    above,
    ellipsoid,
    intersection,
    lattice,
    minus,
    rough,
    shell,
    tube,
    union,
)
from core.phantom.ct.trunk import cavity, dome_mm

SPLEEN_HILUM = np.array([88.0, 2.0, 40.0])
PORTA, HEPATIC_CONFLUENCE = np.array([-50.0, -50.0, 48.0]), np.array([-24.0, -32.0, 96.0])
PORTAL_ENDS = (
    (-110, -60, 60),
    (-120, 0, 40),
    (-95, 10, 85),
    (-100, -70, 20),
    (-10, -85, 70),
    (25, -85, 75),
)
HEPATIC_ENDS = ((-118, -15, 45), (-70, -75, 50), (-100, 25, 60), (5, -80, 60))


def shaped(patient: Patient, solid: Solid, name: str, cell_mm: float, amplitude_mm: float) -> Solid:
    """The solid with a random surface relief, drawn from the patient's stream of that name."""
    field = lattice(patient.stream(f"surface {name}"), solid.low, solid.high, cell_mm)
    return rough(solid, field, amplitude_mm)


def under_dome(solid: Solid) -> Solid:
    """The part of an organ below the diaphragm and inside the wall."""
    roof = above(lambda p: dome_mm(p) - 2, sign=-1)
    return intersection(solid, cavity(1.0), roof)


def liver(patient: Patient) -> list[Stroke]:
    """Right and left lobe with their vessels, gallbladder and, sometimes, a cyst."""
    rng = patient.stream("liver")
    reach, tip = rng.normal(0, 8), rng.normal(0, 10)
    right = ellipsoid((-78, -22, 48 + tip / 2), (68, 80, 84 + tip / 2))
    left = ellipsoid((-8 + reach / 2, -78, 70), (72 + reach / 2, 34, 36))
    lobes = union(right, left, blend_mm=30)
    visceral = ellipsoid((-12, -28, -12), (52, 58, 66))  # impression of duodenum, head and kidney
    organ = under_dome(shaped(patient, minus(lobes, visceral), "liver", 34, 4.0))
    out = [stroke(patient, organ, "liver", "liver")]
    out += _liver_vessels(patient, rng, organ)
    bladder = ellipsoid((-52, -74, 6), (13, 24, 17))
    out += [
        stroke(patient, bladder, "gallbladder wall", "gallbladder"),
        stroke(patient, shell(bladder, -2.0), "bile", "gallbladder"),
    ]
    return [*out, *_cysts(patient, rng, organ, (-100, -20, 55), 30, 0.35)]


def _liver_vessels(patient: Patient, rng: np.random.Generator, organ: Solid) -> list[Stroke]:
    """Portal branches from the hilum and hepatic veins from the vena cava."""
    trees = [
        ("portal branches", PORTA, PORTAL_ENDS, 4.2),
        ("hepatic veins", HEPATIC_CONFLUENCE, HEPATIC_ENDS, 4.5),
    ]
    out = []
    for tissue, root, ends, width in trees:
        for end in ends:
            stem = _branch(rng, root, np.asarray(end))
            twigs = [
                _branch(rng, at, at + rng.normal(0, 24, 3)) for at in stem[len(stem) // 3 :: 3]
            ]
            for path, wide in ((stem, width), *((twig, width / 2) for twig in twigs)):
                vessel = intersection(tube(path, np.linspace(wide, 1.0, len(path))), organ)
                out.append(stroke(patient, vessel, tissue, thin_mm=(wide + 1.0) / 2))
    return out


def _branch(rng: np.random.Generator, start: NDArray, end: NDArray) -> NDArray[np.float64]:
    """Centre line (n, 3) of a vessel branch, slightly curved, to a random point near `end`."""
    middle = (start + end) / 2 + rng.normal(0, 5, 3)
    return curve([start, middle, end + rng.normal(0, 5, 3)], step_mm=8)


def _cysts(
    patient: Patient,
    rng: np.random.Generator,
    organ: Solid,
    center: tuple,
    spread_mm: float,
    chance: float,
) -> list[Stroke]:
    """A simple cyst within an organ in some patients: dark, round, and not a tumor."""
    if rng.random() > chance:
        return []
    place = np.asarray(center) + rng.uniform(-spread_mm, spread_mm, 3)
    cyst = intersection(ellipsoid(place, rng.uniform(5, 14) * np.ones(3)), shell(organ, 3.0))
    return [stroke(patient, cyst, "cyst")]


def spleen(patient: Patient) -> list[Stroke]:
    """A crescent under the left diaphragm."""
    rng = patient.stream("spleen")
    size = rng.normal(1, 0.09)
    whole = ellipsoid((96, 20, 52), (36 * size, 52 * size, 60 * size))
    hollow = ellipsoid((54, -20, 52), (33, 44, 90))
    organ = under_dome(shaped(patient, minus(whole, hollow), "spleen", 26, 3.0))
    return [stroke(patient, organ, "spleen", "spleen")]


def kidneys(patient: Patient) -> list[Stroke]:
    """Both kidneys in their fat, with medulla, sinus and adrenals; sometimes a cyst."""
    rng = patient.stream("kidneys")
    out = []
    for side, z, name in ((1, -12, "kidney_left"), (-1, -26, "kidney_right")):
        center = np.array([side * 64.0, 16, z + rng.normal(0, 5)])
        # The long axis leans outward and forward toward the foot.
        axis = curve(
            [np.add(center, (-side * 6, 7, 30)), center, np.add(center, (side * 7, -5, -30))],
            step_mm=8,
        )
        bean = tube(axis, along(axis, [(0, 23), (0.5, 26.5), (1, 23)]))
        sinus = tube(np.add(axis[1:-1], (-side * 14, -7, 0)), 10.0, squash=(1.1, 0.7, 1))
        hollow = shaped(patient, sinus, f"{name} sinus", 8, 2.5)
        cortex = shaped(patient, minus(bean, hollow), name, 16, 1.3)
        medulla = shaped(patient, shell(cortex, -7.5), f"{name} medulla", 9, 3.0)
        fat = 3.0 + 2.2 * patient.clearance_mm
        out += [
            stroke(patient, cortex, "renal cortex", name, clearance_mm=fat),
            stroke(patient, medulla, "renal medulla", name),
            *_cysts(
                patient, rng, shell(cortex, 6.0), tuple(np.add(center, (side * 20, 0, 0))), 14, 0.3
            ),
        ]
    for x, y, z in ((30, -8, 32), (-32, -4, 34)):
        limbs = [(x - 4, y - 6, z - 8), (x, y - 8, z), (x + 5, y + 8, z - 6)]
        out.append(stroke(patient, tube(limbs, 2.3, squash=(0.9, 1, 2.6)), "adrenal"))
    return out


def spleen_hilum(patient: Patient) -> NDArray[np.float64]:
    """Where the splenic vessels enter, and the tail of the pancreas points."""
    return SPLEEN_HILUM + patient.stream("hilum").normal(0, (3, 3, 5))
