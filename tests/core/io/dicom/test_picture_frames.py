"""Do files of pictures hold as many frames as their headers promise?"""

import numpy as np
import pytest
from pydicom.uid import RLELossless

from core.io import remarks
from core.io.dicom.picture import read_pictures
from tests.core.io.dicom.pictures import changed, compressed, jpeg, smooth
from tests.refusals import refused

FRAMES = [smooth(seed=n) for n in range(3)]
YBR = {"PhotometricInterpretation": "YBR_FULL_422"}
STREAMS = [jpeg(frame) for frame in FRAMES]


@pytest.mark.parametrize("offsets", [True, False])
def test_a_compressed_clip_with_fewer_frames_says_how_many(tmp_path, offsets):
    path = compressed(tmp_path / "a.dcm", FRAMES, STREAMS, offsets=offsets, NumberOfFrames=12)
    with refused(path, "holds 3 of 12 frames", hint="fetch the file again"):
        next(read_pictures(path))


def test_a_clip_of_which_one_frame_is_there_says_so(tmp_path):
    path = compressed(tmp_path / "a.dcm", FRAMES, STREAMS[:1], offsets=False)
    with refused(path, "holds 1 of 3 frames", hint="fetch"):
        next(read_pictures(path))


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_clip_that_was_cut_says_how_many_frames_are_whole(tmp_path, share):
    path = compressed(tmp_path / "a.dcm", FRAMES, STREAMS)
    whole, size = path.read_bytes(), sum(map(len, STREAMS))
    path.write_bytes(whole[: len(whole) - int((1 - share) * size)])
    with refused(path, f"holds {int(share * 3)} of 3 frames", hint="fetch"):
        next(read_pictures(path))


def test_an_uncompressed_clip_with_fewer_frames_says_how_many(tmp_path):
    pixels = np.stack(FRAMES).tobytes()
    path = changed(tmp_path / "a.dcm", FRAMES, PixelData=pixels[: len(pixels) * 5 // 6])
    with refused(path, "holds 2 of 3 frames", hint="fetch"):
        next(read_pictures(path))


@pytest.mark.parametrize("is_compressed", [True, False])
def test_more_frames_than_promised_are_told(tmp_path, is_compressed):
    path = tmp_path / "a.dcm"
    if is_compressed:
        compressed(path, FRAMES, STREAMS, NumberOfFrames=2, **YBR)
    else:
        changed(path, FRAMES, NumberOfFrames=2)
    with remarks.kept() as lines:
        assert len(list(read_pictures(path))) == 2
    assert lines == [f"{path}: its header tells 2 of its 3 frames; the others are left out"]


def test_a_frame_that_cannot_be_decoded_is_no_missing_frame(tmp_path):
    streams = [STREAMS[0], b"\xff\xd8 no picture", STREAMS[2]]
    path = compressed(tmp_path / "a.dcm", FRAMES, streams)
    frames = read_pictures(path)
    next(frames)
    with refused(path, "cannot be decoded", hint="fetch"):
        next(frames)


def test_as_many_fragments_as_frames_are_frames(tmp_path):
    path = compressed(tmp_path / "a.dcm", FRAMES, STREAMS, offsets=False, **YBR)
    with remarks.kept() as lines:
        assert len(list(read_pictures(path))) == 3
    assert lines == []
    path = compressed(tmp_path / "b.dcm", FRAMES, [bytes(64)] * 3, syntax=RLELossless)
    with refused(path, "cannot be decoded", hint="fetch"):
        next(read_pictures(path))


def test_the_field_clip_says_how_many_frames_it_holds(shared_data):
    path = shared_data / "field_cases" / "clip_with_fewer_frames_than_promised" / "clip.dcm"
    with refused(path, "holds 2 of 12 frames", hint="fetch the file again"):
        next(read_pictures(path))
