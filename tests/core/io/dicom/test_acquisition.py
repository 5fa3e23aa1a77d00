import highdicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from core.io.dicom.acquisition import Acquisition, delay_s, read_acquisition
from core.io.dicom.warnings import quiet
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import DELAY_S, write_dicom_study
from tests.core.io.dicom.make import SECRET, save, slices

AGENT = {"ContrastBolusAgent": "Iohexol", "ContrastBolusStartTime": "115930"}


def acquisition(folder, **changes):
    return read_acquisition(save(folder, slices(**changes)[:1], order=[0]) / "I000")


def test_an_old_header_gives_what_was_set_and_nothing_that_identifies(tmp_path):
    told = acquisition(
        tmp_path,
        **AGENT,
        ProtocolName="Pancreas",
        ImageComments="late",
        ConvolutionKernel=["B30f", "1"],
        SliceThickness=5,
        ImageType=["DERIVED", "PRIMARY", "MPR"],
    )
    assert told == Acquisition(
        description="venous",
        protocol="Pancreas",
        comments="late",
        agent="Iohexol",
        kernel="B30f 1",
        thickness_mm=5.0,
        image_type=("DERIVED", "PRIMARY", "MPR"),
        frame_of_reference=str(slices()[0].FrameOfReferenceUID),
        acquired_s=12 * 3600.0,
        delay_s=30.0,
    )
    assert SECRET not in repr(told)


def test_an_enhanced_header_gives_the_same(tmp_path):
    changes = {**AGENT, "ConvolutionKernel": "B30f", "ProtocolName": "Pancreas"}
    uids = (generate_uid(), 1, generate_uid(), 1)
    with quiet():
        enhanced = highdicom.legacy.LegacyConvertedEnhancedCTImage(slices(**changes), *uids)
        reconstruction, agent, profile = Dataset(), Dataset(), Dataset()
        profile.ContrastBolusStartTime = "20200101115930"
        agent.CodeMeaning, agent.ContrastAdministrationProfileSequence = "Iohexol", [profile]
        reconstruction.ConvolutionKernel = "B30f"
        enhanced.ContrastBolusAgentSequence = [agent]
        enhanced.SeriesDescription = "venous"
        enhanced.SharedFunctionalGroupsSequence[0].CTReconstructionSequence = [reconstruction]
        enhanced.save_as(tmp_path / "image")
    told = read_acquisition(tmp_path / "image")
    assert (told.description, told.kernel, told.thickness_mm) == ("venous", "B30f", 9.0)
    assert told.delay_s == 30.0


def test_a_phantoms_series_tell_the_delay_they_were_written_with(tmp_path):
    phantom = make(0, shape=(2, 32, 32), spacing_mm=(20, 12, 12), tumor_diameter_mm=None)
    folder = write_dicom_study(tmp_path / "p", phantom)
    for series, phase in (("SE002", "arterial"), ("SE003", "venous")):
        assert read_acquisition(folder / series / "IM00001.dcm").delay_s == DELAY_S[phase]


@pytest.mark.parametrize(
    ("acquired", "injected", "seconds"),
    [
        ("100040", "100000", 40),
        ("100040.250", "10:00:00", 40.25),
        ("20200101100040.5+0100", "100000", 40.5),
        ("000020", "235950", 30),
        ("095900", "100000", -60),
        ("120000", "000000", None),
        ("", "100000", None),
        ("100040", "", None),
        ("1000", "100000", None),
        ("ten o'clock", "100000", None),
    ],
)
def test_a_delay_survives_midnight_and_odd_clocks(acquired, injected, seconds):
    assert delay_s(acquired, injected) == seconds


@pytest.mark.parametrize(
    ("text", "encoding"), [("动脉期", "utf-8"), ("静脉期", "gb18030"), ("venös", "latin-1")]
)
def test_an_undeclared_character_set_is_guessed(tmp_path, text, encoding):
    (dataset,) = slices()[:1]
    dataset.SeriesDescription = "12345678"[: len(text.encode(encoding))].ljust(10, "x")
    path = save(tmp_path, [dataset], order=[0]) / "I000"
    raw = text.encode(encoding).ljust(10)
    path.write_bytes(path.read_bytes().replace(dataset.SeriesDescription.encode(), raw))
    assert read_acquisition(path).description == text


def test_what_cannot_be_read_or_is_not_positive_is_unknown(tmp_path):
    (tmp_path / "note").write_text("hello")
    assert read_acquisition(tmp_path / "note") == Acquisition()
    assert read_acquisition(tmp_path / "absent") == Acquisition()
    assert acquisition(tmp_path / "a", SliceThickness=0).thickness_mm is None
    assert acquisition(tmp_path / "b", SliceThickness="").thickness_mm is None
