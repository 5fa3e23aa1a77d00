"""Which CT images hold HU that compare with those of other scans, by their headers."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from tests.core.io.dicom.look import find, find_volumes, read
from tests.core.io.dicom.make import enhanced, hu, save, slices

PERFUSION, MATERIAL = "a perfusion image, not CT in HU", "a map of a material, not HU"
MONOENERGETIC = "a virtual monoenergetic image, whose HU depend on the energy chosen"
NUMBERS, DENSITY = "a map of effective atomic numbers, not HU", "a map of electron density, not HU"
VIRTUAL = "a virtual image without contrast or calcium, not CT as measured"
PROJECTION = "a projection through slices, not a slice"
RATIO = "a difference or ratio of images, not HU"

WORDS = {
    **dict.fromkeys(["PERFUSION", "CT_PERFUSION", "RCBF", "CBF", "rCBV", "MTT"], PERFUSION),
    **dict.fromkeys(["TTP", "TMAX", "PERMEABILITY", "BLOOD FLOW", "KTRANS"], PERFUSION),
    **dict.fromkeys(["MONOENERGETIC", "VMI", "MONO_E", "MonoE", "MONO 70 KEV"], MONOENERGETIC),
    **dict.fromkeys(["VIRTUAL MONOENERGETIC", "GSI MONO", "65KEV", "MONO+"], MONOENERGETIC),
    **dict.fromkeys(["Z_EFF", "ZEFF", "EFF_ATOMIC_NUM", "Effective Z", "RHO/Z"], NUMBERS),
    **dict.fromkeys(["ELECTRON_DENSITY", "ELECTRON DENSITY", "EDW", "RHO"], DENSITY),
    **dict.fromkeys(["VNC", "VIRTUAL_NON_CONTRAST", "VNCA", "MAT_REMOVED", "VUE"], VIRTUAL),
    **dict.fromkeys(["VIRTUAL UNENHANCED", "CALCIUM_SUPPRESSED"], VIRTUAL),
    **dict.fromkeys(["IODINE", "IODINE MAP", "MAT_SPECIFIC", "MAT_FRACTIONAL"], MATERIAL),
    **dict.fromkeys(["MAT_MODIFIED", "MAT_VALUE_BASED", "MATERIAL DENSITY"], MATERIAL),
    **dict.fromkeys(["SUBTRACTION", "SUBTRACTED", "STD_DEVIATION", "DIVISION"], RATIO),
    **dict.fromkeys(["MIP", "MINIP", "MPR MIP", "MAX_IP", "MAXIMUM"], PROJECTION),
    **dict.fromkeys(["VRT", "CURVED_MPR"], "a rendered or curved view, not a slice"),
    **dict.fromkeys(["SUV", "MUMAP", "PET"], "a map of uptake or attenuation, not HU"),
    "SEGMENTATION": "a segmentation, not HU",
    **dict.fromkeys(["PARAMETRIC MAP", "PARAM_MAP"], "a parametric map, not HU"),
    **dict.fromkeys(["LOCALIZER", "REF_SURVIEW", "SCOUT"], "a localizer"),
}


@pytest.mark.parametrize("word", WORDS)
def test_an_image_type_that_is_no_ct_in_hu_is_skipped(tmp_path, word):
    with quiet():
        image = slices(hu((1, 6, 8)), ImageType=["DERIVED", "SECONDARY", "AXIAL", word])
        save(tmp_path, image)
    assert find(tmp_path) == ([], [WORDS[word]])


@pytest.mark.parametrize(
    "words",
    [
        "ORIGINAL/PRIMARY/AXIAL/CT_SOM5 SPI",
        "ORIGINAL/PRIMARY/AXIAL/CT_SOM5 SPI DUAL",
        "ORIGINAL/PRIMARY/AXIAL/CT_SOM5 MON",
        "ORIGINAL/PRIMARY/AXIAL/HELIX",
        "ORIGINAL/PRIMARY/AXIAL/ADD",
        "ORIGINAL/SECONDARY/AXIAL",
        "ORIGINAL/PRIMARY/VOLUME/NONE",
        "DERIVED/PRIMARY/AXIAL",
        "DERIVED/SECONDARY/REFORMATTED",
        "DERIVED/SECONDARY/MPR",
        "DERIVED/SECONDARY/AXIAL/CSA MPR",
        "DERIVED/PRIMARY/POST_CONTRAST/RESAMPLED",
        "DERIVED/PRIMARY/VOLUME/ENERGY_PROP_WT",
        "DERIVED/PRIMARY/AXIAL/AVERAGE",
        "DERIVED/PRIMARY/ATTENUATION/NONE",
        "DERIVED/SECONDARY/PROCESSED",
        "ORIGINAL/PRIMARY/AXIAL/CT PET",
        "",
    ],
)
def test_usual_image_types_are_read_without_a_word(tmp_path, words, caplog):
    volume = read(save(tmp_path, slices(ImageType=words.split("/"))))
    np.testing.assert_array_equal(volume.array, hu())
    assert caplog.messages == []


TYPES = {
    "MGML": "its values are mg/ml of a material, not HU",
    "Z_EFF": "its values are effective atomic numbers, not HU",
    "ED": "its values are electron densities, not HU",
    "EDW": "its values are electron densities relative to water, not HU",
    "HU_MOD": "its values are modified HU, not HU",
    "PCT": "its values are percent, not HU",
    "OD": "its values are optical densities, not HU",
    "100ug/cc": "its rescale type is 100UG/CC, not HU",
}


@pytest.mark.parametrize("term", TYPES)
def test_a_rescale_type_that_is_not_hu_is_skipped(tmp_path, term):
    folder = save(tmp_path, slices(hu((1, 6, 8)), RescaleType=term))
    assert find(folder) == ([], [TYPES[term]])


@pytest.mark.parametrize("term", ["HU", "hu ", "Hounsfield Units", "", None])
def test_hu_and_no_rescale_type_are_read_without_a_word(tmp_path, term, caplog):
    np.testing.assert_array_equal(read(save(tmp_path, slices(RescaleType=term))).array, hu())
    assert caplog.messages == []


def test_an_unspecified_rescale_type_is_told_once(tmp_path, caplog):
    np.testing.assert_array_equal(read(save(tmp_path, slices(RescaleType="US"))).array, hu())
    assert caplog.messages == [
        f"{tmp_path}: its rescale type is US (unspecified), so its values are taken as HU"
    ]


@pytest.mark.parametrize("name", ["MonoE 70keV[HU]", "Iodine no Water", "Z Effective", "VNC"])
def test_a_description_of_a_map_is_told(tmp_path, name, caplog):
    read(save(tmp_path, slices(SeriesDescription=name)))
    assert caplog.messages == [
        f"{tmp_path}: its description is that of a map or a virtual image; nothing else in it "
        "says so"
    ]


@pytest.mark.parametrize("name", ["Abdomen venous", "Iodine contrast 120 ml", "monitoring"])
def test_other_descriptions_are_not(tmp_path, name, caplog):
    read(save(tmp_path, slices(SeriesDescription=name)))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Units": "BQML"}, "its values are in BQML, not HU"),
        ({"Modality": "PT"}, "the modality is PT, not CT"),
        ({"VolumeBasedCalculationTechnique": "MAX_IP"}, PROJECTION),
        (
            {"BitsStored": 8, "HighBit": 7},
            "its pixels have 8 bits: gray values of a display, not HU",
        ),
        ({"SamplesPerPixel": 3}, "its pixels have 3 samples, not one"),
    ],
)
def test_other_elements_that_speak_against_hu_are_reasons(tmp_path, changes, reason):
    assert find(save(tmp_path, slices(hu((1, 6, 8)), **changes))) == ([], [reason])


def mapping(code, slope=1.0, intercept=-1024.0):
    """Mapping to real world values in a unit."""
    item, unit = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = code, "UCUM", "unit"
    item.MeasurementUnitsCodeSequence = [unit]
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    return item


def test_real_world_values_in_other_units_are_skipped(tmp_path):
    folder = save(tmp_path, slices(RealWorldValueMappingSequence=[mapping("mg/mL")]))
    assert find(folder) == ([], ["its real world values are in mg/ml, not HU"] * 10)


def test_real_world_values_in_hu_agree_with_the_rescale_or_are_broken(tmp_path):
    both = [mapping("[hnsf'U]"), mapping("mg/mL", 0.1, 0)]
    agree = save(tmp_path / "a", slices(RealWorldValueMappingSequence=both))
    np.testing.assert_array_equal(read(agree).array, hu())
    other = [mapping("[hnsf'U]", 0.5)]
    _, skipped = find_volumes(
        save(tmp_path / "b", slices(RealWorldValueMappingSequence=other)), min_slices=8
    )
    told = {("its rescale and its real world values differ", True)}
    assert {(s.reason, s.is_broken) for s in skipped} == told


def test_an_energy_makes_a_monoenergetic_image(tmp_path):
    group = Dataset()
    group.MonoenergeticEnergyEquivalent = 70.0
    folder = save(tmp_path, slices(MultienergyCTCharacteristicsSequence=[group]))
    assert find(folder) == ([], [MONOENERGETIC] * 10)


def test_a_modality_lut_is_skipped(tmp_path):
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [2, 0, 16])
    table.ModalityLUTType, table.LUTData = "HU", bytes(4)
    with quiet():
        folder = save(tmp_path, slices(ModalityLUTSequence=[table]))
    reason = "its values pass through a table (Modality LUT), not to HU by a slope"
    assert find(folder) == ([], [reason] * 10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"RescaleSlope": 0}, "its rescale slope is 0"),
        ({"RescaleSlope": [1, 2]}, "its header is damaged"),
    ],
)
def test_a_rescale_that_cannot_be_is_broken(tmp_path, changes, reason):
    _, skipped = find_volumes(save(tmp_path, slices(**changes)), min_slices=8)
    assert {(s.reason, s.is_broken) for s in skipped} == {(reason, True)}


@pytest.mark.parametrize(
    ("name", "told", "offset"),
    [
        ("RescaleSlope", "no rescale slope, taken as 1", 0),
        ("RescaleIntercept", "no rescale intercept, taken as 0", 1024),
    ],
)
def test_half_a_rescale_is_used_and_told(tmp_path, name, told, offset, caplog):
    volume = read(save(tmp_path, slices(**{name: None})))
    np.testing.assert_array_equal(volume.array, hu() + offset)
    assert f"it has {told}" in caplog.text


def frames(**content):
    return [(2.5 * k, pixels, dict(content)) for k, pixels in enumerate(hu())]


def test_a_frame_type_and_a_groups_rescale_type_are_judged(tmp_path):
    kind = Dataset()
    kind.FrameType = ["DERIVED", "PRIMARY", "AXIAL", "MTT"]
    file = enhanced(frames(), SOPInstanceUID=generate_uid())
    file.PerFrameFunctionalGroupsSequence[3].CTImageFrameTypeSequence = [kind]
    assert find(save(tmp_path / "a", [file])) == ([], [PERFUSION])
    file = enhanced(frames())
    values = file.PerFrameFunctionalGroupsSequence[3].PixelValueTransformationSequence[0]
    values.RescaleType = "MGML"
    assert find(save(tmp_path / "b", [file])) == ([], [TYPES["MGML"]])


@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept", "PixelSpacing"])
def test_two_values_in_one_file_are_broken_unless_they_are_rounded(tmp_path, name):
    right = {"RescaleSlope": 1, "RescaleIntercept": -1024, "PixelSpacing": [0.70001, 0.8]}[name]
    wrong = {"RescaleSlope": 2, "RescaleIntercept": 0, "PixelSpacing": [0.8, 0.7]}[name]
    (volume,), _ = find(save(tmp_path / "a", [enhanced(frames(), **{name: right})]))
    np.testing.assert_array_equal(read_hu(volume), hu())
    reason = f"its header gives two values of {name}"
    assert find(save(tmp_path / "b", [enhanced(frames(), **{name: wrong})])) == ([], [reason])


FIELD_CASES = {
    "iodine": MATERIAL,
    "perfusion": PERFUSION,
    "zeff": "its values are effective atomic numbers, not HU",
}


@pytest.mark.parametrize("name", FIELD_CASES)
def test_field_cases_that_are_not_hu_are_skipped(shared_data, name):
    volumes, reasons = find(shared_data / "field_cases/ct_not_hu" / name)
    assert (volumes, set(reasons)) == ([], {FIELD_CASES[name]})
