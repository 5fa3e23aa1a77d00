"""Whether the values of a CT image are HU that compare with those of other scans, by its header.

A CT scanner also sends maps of iodine, atomic numbers or blood flow, and images as of one energy.
They have the class and the modality of a CT image; its image type and its units tell them.

Source: DICOM PS3.3, C.8.2.1.1.1 and C.8.16.1 (image types), C.11.1.1.2 (rescale types).
"""

import functools
import re
from collections.abc import Sequence

from pydicom.dataset import Dataset

from core.io.dicom.elements import first_item, text, values

MONOENERGETIC = "a virtual monoenergetic image, whose HU depend on the energy chosen"
# Reason → words of an image type, of vendors as of the standard. Spaces and signs count as "_".
KINDS = {
    "a localizer": "LOCALIZER|SCOUT|TOPOGRAM|SURVIEW|SCANOGRAM|SCANOSCOPE",
    "a projection through slices, not a slice": (
        "T?MIP|MINIP|MAX_?IP|MIN_IP|MAXIMUM|MINIMUM|PROJECTION_IMAGE"
    ),
    "a rendered or curved view, not a slice": (
        "VRT|SSD|(VOLUME|SURFACE)_RENDER(ED|ING)?|CURVED(_MPR)?|CPR"
    ),
    "a perfusion image, not CT in HU": (
        "PERF|PERFUSION[A-Z]*|TRANSPERFUSION|R?R?CB[FV]|BLOOD_?(FLOW|VOLUME)|MTT|TTP|TTD|T_?MAX|T0|"
        "PERMEABILITY|K_?TRANS|PENUMBRA|TISSUE_CLASS[A-Z]*"
    ),
    MONOENERGETIC: (
        r"MONO(_?(ENERGETIC|ENERGY|CHROMATIC|E|PLUS|\d+))?(_?KEV)?|VM[IE](_?PLUS)?|(\d+_?)?KEV"
    ),
    "a map of effective atomic numbers, not HU": (
        "Z_?EFF(ECTIVE)?|EFF(ECTIVE)?_?Z|(EFF(ECTIVE)?_)?ATOMIC_?NUM(BER)?S?|RHO_?Z"
    ),
    "a map of electron density, not HU": "ELEC(TRON)?_?DENS(ITY)?|EDW|RHO",
    "a virtual image without contrast or calcium, not CT as measured": (
        "VNC[A-Z]*|VUE|VIRTUAL_?(NON|UN|TRUE)[A-Z_]*|MAT(ERIAL)?_REMOVED|PURE_?LUMEN|"
        "(CALCIUM|IODINE)_?(SUPP|REMOV)[A-Z]*"
    ),
    "a map of a material, not HU": (
        "MAT_(SPECIFIC|FRACTIONAL|MODIFIED|VALUE_BASED)|MATERIAL|IODINE?|IODINE_?[A-Z]*|"
        "CALCIUM_?MAP|URIC_?ACID|FAT_?(MAP|FRACTION)"
    ),
    "a difference or ratio of images, not HU": (
        "SUBTRACT(ION|ED)?|DIVISION|RATIO|MULTIPLICATION|STD_?DEV(IATION)?"
    ),
    "a map of uptake or attenuation, not HU": (
        r"SUV[A-Z]*|(?<!\w)PET(?!\w)|ATTENUATION_?MAP|MU_?MAP|UMAP"
    ),
    "a parametric map, not HU": "PARAMETRIC(_?MAP)?|PARAM(ETER)?_?MAP|VENTILATION",
    "a segmentation, not HU": "SEGMENTATION|LABEL_?MAP",
}
_KINDS = [(reason, re.compile(f"(?:^|_)(?:{words})(?:_|$)")) for reason, words in KINDS.items()]

HOUNSFIELD = {"HU", "H.U.", "HOUNSFIELD", "HOUNSFIELD UNIT", "HOUNSFIELD UNITS"}
UNSPECIFIED = {"US", "UNSPECIFIED"}
RESCALE_TYPES = {
    "OD": "optical densities",
    "MGML": "mg/ml of a material",
    "Z_EFF": "effective atomic numbers",
    "ED": "electron densities",
    "EDW": "electron densities relative to water",
    "HU_MOD": "modified HU",
    "PCT": "percent",
}
HOUNSFIELD_CODES = {"[HNSF'U]", "HNSF'U", "HU"}
# Other words than CT are left by tools that anonymize; these measure something else.
OTHER_MODALITIES = {"PT", "NM", "MR", "US"}
# Vendors that leave the image type of their results as it is name them here.
_DESCRIBED = re.compile(
    r"\bmono ?e\b|\bmono.?energ|\d ?kev\b|\bvmi\b|\bvnc\b|virtual.?non|iodine (map|density|no|wat)|"
    r"\bz.?eff|electron.?dens|\bcb[fv]\b|perfusion map",
    re.IGNORECASE,
)


def not_hu(places: Sequence[Dataset]) -> str:
    """Why the values of an image are no HU, or none that compare; empty where they are.

    Args:
      places: where its elements are looked for: the groups of its frame, then the header.
    """
    names = ("ImageType", "FrameType", "VolumeBasedCalculationTechnique")
    words = tuple(str(v) for p in places for name in names for v in values(p, name))
    return _by_type(words) or _by_energy(places) or _by_modality(places) or _by_units(places)


def doubt(places: Sequence[Dataset]) -> str:
    """What speaks against HU and does not settle it; empty where nothing does."""
    if text(places, "RescaleType").upper() in UNSPECIFIED:  # vendors write it of usual CT
        return "its rescale type is US (unspecified), so its values are taken as HU"
    if _DESCRIBED.search(text(places, "SeriesDescription")):
        return "its description is that of a map or a virtual image; nothing else in it says so"
    return ""


def rescaling_in_hu(places: Sequence[Dataset]) -> tuple[float, float] | None:
    """Slope and intercept of the mapping to real world values in HU, if there is one."""
    for item in _real_world_values(places):
        slope, intercept = (item.get(f"RealWorldValue{n}") for n in ("Slope", "Intercept"))
        if _unit(item) in HOUNSFIELD_CODES and slope is not None and intercept is not None:
            return float(slope), float(intercept)
    return None


@functools.lru_cache(maxsize=4096)
def _by_type(words: tuple[str, ...]) -> str:
    plain = [re.sub("[^A-Z0-9]+", "_", word.upper()).strip("_") for word in words]
    return next((why for why, kind in _KINDS if any(map(kind.search, plain))), "")


def _by_energy(places: Sequence[Dataset]) -> str:
    groups = [first_item(place, "MultienergyCTCharacteristicsSequence") for place in places]
    return MONOENERGETIC if text([*groups, *places], "MonoenergeticEnergyEquivalent") else ""


def _by_modality(places: Sequence[Dataset]) -> str:
    modality = text(places, "Modality").upper()
    return f"the modality is {modality}, not CT" if modality in OTHER_MODALITIES else ""


def _by_units(places: Sequence[Dataset]) -> str:
    units, term = (text(places, name).upper() for name in ("Units", "RescaleType"))
    if units and units not in HOUNSFIELD:
        return f"its values are in {units}, not HU"
    if term in RESCALE_TYPES:
        return f"its values are {RESCALE_TYPES[term]}, not HU"
    if term and term not in HOUNSFIELD | UNSPECIFIED:
        return f"its rescale type is {term}, not HU"
    codes = [_unit(item) for item in _real_world_values(places)]
    if codes and not HOUNSFIELD_CODES & set(codes):
        return f"its real world values are in {codes[0].lower()}, not HU"
    return ""


def _real_world_values(places: Sequence[Dataset]) -> list[Dataset]:
    """Mappings from stored to real world values that name their unit."""
    items = [item for place in places for item in place.get("RealWorldValueMappingSequence") or []]
    return [item for item in items if _unit(item)]


def _unit(item: Dataset) -> str:
    return text([first_item(item, "MeasurementUnitsCodeSequence")], "CodeValue").upper()
