"""The gut: oesophagus, stomach, duodenum, small bowel and colon, with what they hold."""

import numpy as np

from core.phantom.ct.curves import along, curve
from core.phantom.ct.organs import shaped, under_dome
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import above, intersection, shell, tube
from core.phantom.ct.trunk import cavity


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
    wall = shaped(patient, under_dome(tube(path, radii)), "stomach", 24, 3.0)
    lumen = shaped(patient, shell(wall, -rng.uniform(3.0, 5.0)), "rugae", 8, 1.6)
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
    wall = shaped(patient, organ, "colon", 15, 2.0)
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
        loop = shaped(patient, tube(curve(path, step_mm=7), radius), f"loop {number}", 8, 1.6)
        lumen = shaped(patient, shell(loop, -rng.uniform(2.0, 5.0)), f"folds {number}", 5, 1.6)
        content = str(rng.choice(["chyme", "gut fluid", "gas"], p=[0.55, 0.33, 0.12]))
        out += [
            stroke(patient, loop, "jejunal wall", "small_bowel", clearance_mm=patient.clearance_mm),
            stroke(patient, lumen, content, "small_bowel"),
        ]
    return out


def duodenum(patient: Patient) -> list[Stroke]:
    """The loop around the pancreatic head, from the pylorus to the jejunum."""
    rng = patient.stream("duodenum")
    drop = rng.normal(0, 5)
    path = curve(
        [
            (-22, -83, 19),
            (-40, -79, 24),
            (-55, -60, 11),
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
    wall = shaped(patient, tube(path, wide), "duodenum", 11, 1.6)
    lumen = shaped(patient, shell(wall, -rng.uniform(2.5, 4.5)), "duodenal folds", 5, 1.4)
    content = "gut fluid" if rng.random() < 0.5 else "chyme"
    bulb = intersection(lumen, above(-70.0, axis=1, sign=-1)) if rng.random() < 0.5 else None
    out = [
        stroke(
            patient, wall, "jejunal wall", "duodenum", clearance_mm=min(patient.clearance_mm, 1.5)
        ),
        stroke(patient, lumen, content, "duodenum"),
    ]
    return [*out, stroke(patient, bulb, "gas", "duodenum")] if bulb else out
