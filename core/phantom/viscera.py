"""Liver, spleen, kidneys and gut: everything around the pancreas."""

import numpy as np
from numpy.typing import NDArray

from core.phantom.canvas import Stroke, stroke
from core.phantom.patient import Patient
from core.phantom.shapes import (
    Solid,
    above,
    along,
    curve,
    ellipsoid,
    intersection,
    lattice,
    minus,
    rough,
    shell,
    tube,
    union,
)
from core.phantom.trunk import cavity, dome_mm

SPLEEN_HILUM = np.array([88.0, 2.0, 40.0])


def _shaped(
    patient: Patient, solid: Solid, name: str, cell_mm: float, amplitude_mm: float
) -> Solid:
    """The solid with a surface of its own."""
    field = lattice(patient.stream(f"surface {name}"), solid.low, solid.high, cell_mm)
    return rough(solid, field, amplitude_mm)


def _under_dome(solid: Solid) -> Solid:
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
    organ = _under_dome(_shaped(patient, minus(lobes, visceral), "liver", 34, 4.0))
    out = [stroke(patient, organ, "liver", "liver")]
    out += _liver_vessels(patient, rng)
    bladder = ellipsoid((-52, -74, 6), (13, 24, 17))
    out += [
        stroke(patient, bladder, "gallbladder wall", "gallbladder"),
        stroke(patient, shell(bladder, -2.0), "bile", "gallbladder"),
    ]
    return [*out, *_cysts(patient, rng, organ, (-100, -20, 55), 30, 0.35)]


def _liver_vessels(patient: Patient, rng: np.random.Generator) -> list[Stroke]:
    out = []
    hilum, cava = np.array([-50, -50, 48]), np.array([-24, -32, 96])
    ends = [
        (-110, -60, 60),
        (-120, 0, 40),
        (-95, 10, 85),
        (-100, -70, 20),
        (-10, -85, 70),
        (25, -85, 75),
    ]
    for end in ends:
        middle = (hilum + end) / 2 + rng.normal(0, 6, 3)
        path = curve([hilum, middle, np.asarray(end) + rng.normal(0, 6, 3)], step_mm=8)
        branch = tube(path, np.linspace(4.2, 1.2, len(path)))
        out.append(stroke(patient, branch, "portal branches", thin_mm=2.6))
    for end in [(-118, -15, 45), (-70, -75, 50), (-100, 25, 60), (5, -80, 60)]:
        middle = (cava + end) / 2 + rng.normal(0, 6, 3)
        path = curve([cava, middle, np.asarray(end) + rng.normal(0, 6, 3)], step_mm=8)
        branch = tube(path, np.linspace(4.5, 1.2, len(path)))
        out.append(stroke(patient, branch, "hepatic veins", thin_mm=2.8))
    return out


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
    organ = _under_dome(_shaped(patient, minus(whole, hollow), "spleen", 26, 3.0))
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
        bean = tube(axis, along(axis, [(0, 23), (0.5, 26.5), (1, 23)]), squash=(1.0, 1.0, 1))
        sinus = tube(np.add(axis[1:-1], (-side * 14, -7, 0)), 10.0, squash=(1.1, 0.7, 1))
        hollow = _shaped(patient, sinus, f"{name} sinus", 8, 2.5)
        cortex = _shaped(patient, minus(bean, hollow), name, 16, 1.3)
        medulla = _shaped(patient, shell(cortex, -7.5), f"{name} medulla", 9, 3.0)
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


def stomach(patient: Patient) -> list[Stroke]:
    """Oesophagus, stomach and its fluid and gas."""
    rng = patient.stream("stomach")
    fullness = rng.uniform(0.62, 1.1)
    gullet = curve([(3, -20, 190), (5, -24, 120), (16, -32, 100), (34, -34, 90)])
    path = curve(
        [
            (62, -8, 98),
            (66, -30, 78),
            (66, -62, 50),
            (52 + rng.normal(0, 5), -84, 24),
            (20, -92, 6 + rng.normal(0, 5)),
            (-8, -86, 12),
            (-24, -79, 18),
        ]
    )
    radii = along(path, [(0, 33), (0.25, 34), (0.5, 28), (0.75, 21), (0.9, 14), (1, 8)]) * fullness
    wall = _shaped(patient, _under_dome(tube(path, radii)), "stomach", 24, 3.0)
    lumen = _shaped(patient, shell(wall, -4.5), "rugae", 9, 1.2)
    level = float(path[len(path) // 3][1] - rng.uniform(0.0, 0.8) * 28 * fullness)
    gas = intersection(lumen, above(level, axis=1, sign=-1))
    content = "gut fluid" if rng.random() < 0.6 else "chyme"
    return [
        stroke(patient, tube(gullet, 8.5, squash=(1.1, 0.9, 1)), "gut wall", "esophagus"),
        stroke(patient, tube(gullet, 2.2), "gas" if rng.random() < 0.4 else "chyme", thin_mm=2.2),
        stroke(patient, wall, "gut wall", "stomach", clearance_mm=patient.clearance_mm),
        stroke(patient, lumen, content, "stomach"),
        stroke(patient, gas, "gas", "stomach"),
    ]


def colon(patient: Patient) -> list[Stroke]:
    """Ascending, transverse and descending colon with stool and gas."""
    rng = patient.stream("colon")
    sag, gas_y = rng.uniform(-45, -8), rng.uniform(-110, -55)
    path = curve(
        [
            (-100, -18, -160),
            (-98, -22, -60),
            (-88, -52, -34),
            (-52, -96, -36 + sag / 3),
            (0, -103, -34 + sag),
            (48, -97, -22 + sag / 2),
            (82, -68, 4),
            (100, -42, 10),
            (107, -14, -16),
            (105, 2, -45),
            (103, 4, -80),
            (100, -6, -170),
        ],
        step_mm=6,
    )
    haustra = 1 + 0.16 * np.sin(np.linspace(0, 38 * np.pi, len(path)))
    width = along(path, [(0, 24), (0.3, 19), (0.5, 18), (0.7, 14), (1, 11)]) * rng.uniform(
        0.85, 1.15
    )
    organ = intersection(tube(path, width * haustra), cavity(2.0))
    wall = _shaped(patient, organ, "colon", 15, 2.0)
    lumen = shell(wall, -2.6)
    gas = intersection(lumen, above(lambda p: gas_y + 0.25 * p.z, axis=1, sign=-1))
    return [
        stroke(patient, wall, "gut wall", "colon", clearance_mm=patient.clearance_mm),
        stroke(patient, lumen, "stool", "colon"),
        stroke(patient, gas, "gas", "colon"),
    ]


def small_bowel(patient: Patient) -> list[Stroke]:
    """Jejunal loops: in the lower abdomen, and some beside the pancreas where they mimic a mass."""
    rng = patient.stream("small bowel")
    out = []
    for number in range(rng.integers(14, 20)):
        near = number < 5
        start = (
            rng.uniform((18, -98, -52), (76, -42, -10))
            if near
            else rng.uniform((-75, -95, -170), (90, -35, -62))
        )
        turns = rng.normal(0, (14, 9, 9) if near else (30, 14, 18), (4, 3)).cumsum(0)
        path = np.clip(
            start + np.r_[np.zeros((1, 3)), turns],
            (-85, -98, -200),
            (94, -30, -14 if near else -55),
        )
        radius = rng.uniform(8.5, 12.5)
        loop = _shaped(patient, tube(curve(path, step_mm=7), radius), f"loop {number}", 8, 1.6)
        content = str(rng.choice(["chyme", "gut fluid", "gas"], p=[0.55, 0.33, 0.12]))
        out += [
            stroke(patient, loop, "jejunal wall", "small_bowel", clearance_mm=patient.clearance_mm),
            stroke(patient, shell(loop, -rng.uniform(2.5, 5.5)), content, "small_bowel"),
        ]
    return out


def duodenum(patient: Patient) -> list[Stroke]:
    """The loop around the pancreatic head, from the pylorus to the jejunum."""
    rng = patient.stream("duodenum")
    drop = rng.normal(0, 5)
    path = curve(
        [
            (-22, -80, 19),
            (-38, -70, 22),
            (-53, -56, 10),
            (-56, -48, -18),
            (-49, -44, -46 + drop / 2),
            (-24, -46, -60 + drop),
            (6, -49, -60 + drop),
            (30, -50, -44 + drop / 2),
            (38, -54, -22),
        ]
    )
    wide = along(
        path, [(0, 9), (0.12, 13), (0.35, 12.5), (0.6, 11), (0.72, 8), (1, 10)]
    ) * rng.uniform(0.85, 1.1)
    wall = _shaped(patient, tube(path, wide), "duodenum", 11, 1.6)
    lumen = shell(wall, -rng.uniform(3.0, 5.0))
    content = "gut fluid" if rng.random() < 0.5 else "chyme"
    bulb = intersection(lumen, above(-70.0, axis=1, sign=-1)) if rng.random() < 0.5 else None
    out = [
        stroke(
            patient, wall, "jejunal wall", "duodenum", clearance_mm=min(patient.clearance_mm, 1.5)
        ),
        stroke(patient, lumen, content, "duodenum"),
    ]
    return [*out, stroke(patient, bulb, "gas", "duodenum")] if bulb else out


def spleen_hilum(patient: Patient) -> NDArray[np.float64]:
    """Where the splenic vessels enter, and the tail of the pancreas points."""
    return SPLEEN_HILUM + patient.stream("hilum").normal(0, (3, 3, 5))
