"""The trunk that holds the organs: skin, fat, muscle, spine, ribs, lungs and the couch."""

import numpy as np

from core.phantom.ct.curves import curve
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import (
    Points,
    Solid,
    above,
    column,
    ellipsoid,
    intersection,
    lattice,
    minus,
    rough,
    shell,
    tube,
    union,
)

# Cross-section of the abdominal cavity, mm: centre y, half width, half depth, superellipse power.
CAVITY_Y, CAVITY_A, CAVITY_B, CAVITY_POWER = -30.0, 121.0, 84.0, 2.3
WALL_MM, BACK_MM = 12.0, 18.0
VERTEBRA_PITCH_MM, DISC_MM = 33.0, 8.0
LEVELS = range(-7, 12)


def trunk(patient: Patient) -> list[Stroke]:
    """Strokes from the skin to the peritoneum, in painting order."""
    skin = _skin(patient)
    return [
        _couch(patient),
        stroke(patient, skin, "skin", "body"),
        stroke(patient, shell(skin, -2.0), "fat"),
        *_wall(patient),
        stroke(patient, cavity(), "visceral fat"),
        *_back(patient),
        *_lungs(patient),
        *_spine(patient),
        *_ribs(patient),
    ]


def cavity(inset_mm: float = 0.0) -> Solid:
    """Inside of the abdominal and lower thoracic wall."""
    half = (CAVITY_A - inset_mm, CAVITY_B - inset_mm)
    oval = column((0, CAVITY_Y), half, power=CAVITY_POWER)
    return minus(oval, column((0, 52), (50 + inset_mm, 35 + inset_mm), power=2.4))


def _erectors(grown_mm: float = 0.0) -> list[Solid]:
    """The muscle columns on both sides of the spinous processes."""
    half = (31.0 + grown_mm, 25.0 + grown_mm)
    return [column((side * 33, 47), half, power=2.4) for side in (-1, 1)]


def _skin(patient: Patient) -> Solid:
    """Outline of the body: oval in front, furrowed along the spine."""
    front, side, back = patient.fat_mm
    y_front = CAVITY_Y - CAVITY_B - WALL_MM - front
    y_back = CAVITY_Y + CAVITY_B + WALL_MM + back
    half = (CAVITY_A + WALL_MM + side, (y_back - y_front) / 2)
    oval = column((0, (y_front + y_back) / 2), half, power=2.35)
    return union(oval, *_erectors(back), blend_mm=24.0)


def _wall(patient: Patient) -> list[Stroke]:
    """Muscles of the wall, in two layers with a film of fat between them at the flanks."""
    oval = column((0, CAVITY_Y), (CAVITY_A, CAVITY_B), power=CAVITY_POWER)
    whole = shell(oval, WALL_MM)
    film = minus(shell(oval, 6.6), shell(oval, 5.4))
    flanks = minus(film, column((0, CAVITY_Y), (62, 300)))
    return [
        stroke(patient, whole, "muscle"),
        stroke(patient, flanks, "fat", thin_mm=1.2),
    ]


def _couch(patient: Patient) -> Stroke:
    """A thin curved table top under the back."""
    y = CAVITY_Y + CAVITY_B + BACK_MM + patient.fat_mm[2]
    bowl = column((0, y - 395), (400.0, 400.0))
    return Stroke(minus(intersection(bowl, above(y - 60, axis=1)), shell(bowl, -4.0)), "couch")


def _back(patient: Patient) -> list[Stroke]:
    """Erector spinae, quadratus lumborum, psoas and the crura of the diaphragm."""
    out = []
    for side in (-1, 1):
        erector = _erectors()[side > 0]
        quadratus = column((side * 58, 34), (22, 10), (-400, 5))
        psoas = curve(
            [(side * 27, -2, 22), (side * 33, 2, -20), (side * 42, 2, -80), (side * 50, -4, -200)]
        )
        widths = np.interp(psoas[:, 2], [-200, -80, -20, 22], [26, 20, 12, 5])
        crus = curve(
            [(side * 12, -17, -25), (side * 15, -21, 10), (side * 17, -16, 45), (side * 12, -8, 90)]
        )
        out += [
            stroke(
                patient, _lobed(patient, erector, f"erector {side}"), "muscle", clearance_mm=1.3
            ),
            stroke(patient, quadratus, "muscle", clearance_mm=1.0),
            stroke(patient, tube(psoas, widths), "muscle", clearance_mm=1.0),
            stroke(patient, tube(crus, 4.0, squash=(0.8, 1.6, 1)), "muscle"),
        ]
    return out


def _lobed(patient: Patient, solid: Solid, name: str) -> Solid:
    low, high = np.clip(solid.low, -300, 300), np.clip(solid.high, -300, 300)
    return rough(solid, lattice(patient.stream(name), low, high, 22), 1.8)


def dome_mm(p: Points):
    """Height of the diaphragm above the standard frame's zero."""
    right = 128 - ((p.x + 66) / 62) ** 2 * 42 - ((p.y + 32) / 62) ** 2 * 48
    left = 118 - ((p.x - 68) / 58) ** 2 * 44 - ((p.y + 28) / 60) ** 2 * 48
    saddle = 104 - ((p.y + 40) / 60) ** 2 * 34 - (p.x / 90) ** 2 * 20
    return np.maximum(np.maximum(right, left), np.maximum(saddle, 12))


def _lungs(patient: Patient) -> list[Stroke]:
    recess = intersection(cavity(4.0), above(dome_mm))
    spine_side = column((0, 0), (30, 50), power=2.5)
    heart = ellipsoid((22, -70, 158), (62, 46, 46))
    return [
        stroke(patient, minus(recess, spine_side), "lung"),
        stroke(patient, heart, "heart"),
    ]


def _spine(patient: Patient) -> list[Stroke]:
    out = [stroke(patient, column((0, 1), (20, 14)), "disc", "spine")]
    for level in LEVELS:
        out += _vertebra(patient, level * VERTEBRA_PITCH_MM)
    return [*out, stroke(patient, column((0, 27), (9, 7.5)), "canal", "spine")]


def _vertebra(patient: Patient, z: float) -> list[Stroke]:
    half = (VERTEBRA_PITCH_MM - DISC_MM) / 2
    body = column((0, 0), (22.5, 16), (z - half, z + half))
    pedicles = tube([(-15, 14, z + 5), (0, 30, z + 5), (15, 14, z + 5)], 5.0)
    laminae = tube(
        [(-17, 30, z), (-9, 38, z - 4), (0, 43, z - 8), (9, 38, z - 4), (17, 30, z)], 4.5
    )
    transverse = tube([(-42, 30, z + 3), (0, 27, z + 3), (42, 30, z + 3)], 3.6)
    spinous = tube([(0, 40, z - 4), (0, 66, z - 12)], [4.0, 3.4], squash=(0.8, 1, 2.2))
    bone = union(body, pedicles, laminae, transverse, spinous)
    return [
        stroke(patient, bone, "cortical bone", "spine"),
        stroke(patient, shell(body, -1.7), "marrow", "spine"),
    ]


def _ribs(patient: Patient) -> list[Stroke]:
    """Ribs from the twelfth upward, each falling from the spine to the front."""
    out = []
    for number, length in enumerate((0.42, 0.6, 0.78, *[0.86] * 8)):
        angle = np.linspace(0.19, length, 18) * np.pi
        fall = 82 * ((angle - angle[0]) / np.pi) ** 1.3
        for side in (-1, 1):
            sine, cosine = np.sin(angle), np.cos(angle)
            flat = 2 / CAVITY_POWER
            x = side * (CAVITY_A + 6) * sine**flat
            y = CAVITY_Y + (CAVITY_B + 6) * np.sign(cosine) * np.abs(cosine) ** flat
            path = np.stack([x, y, 26 * number - 2 - fall], -1)
            rib = tube(path, 3.4, squash=(1, 1, 1.7))
            out += [
                stroke(patient, rib, "cortical bone", "ribs"),
                stroke(patient, shell(rib, -1.8), "marrow", "ribs", thin_mm=1.8),
            ]
    return out
