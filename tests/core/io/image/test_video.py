import sys

import numpy as np
import pytest

from core.io import remarks
from core.io.image.video import num_video_frames, read_video
from core.io.images import find_images, read_frames
from tests.refusals import refused

LEVELS = (20, 90, 160, 230)


def clip(path, *, codec="mpeg4", rate=10, shape=(48, 64)):
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'panjax[video]'")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = *shape, "yuv420p"
        for level in LEVELS:
            array = np.full((*shape, 3), level, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.mark.parametrize("ending", ["mp4", "avi", "mov"])
def test_frames_come_in_order_with_their_times(tmp_path, ending):
    path = clip(tmp_path / f"a.{ending}")
    frames = list(read_video(path))
    assert [frame.shape for frame in frames] == [(48, 64)] * 4
    # Lossy, and RGB to YCbCr and back rounds twice: a few gray levels.
    means = [float(frame.gray().mean()) for frame in frames]
    np.testing.assert_allclose(means, LEVELS, atol=6)
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(4) / 10, atol=1e-6)
    assert num_video_frames(path) == 4


def test_a_clip_is_one_source_of_many_frames(tmp_path):
    clip(tmp_path / "a.mp4")
    (source,), skipped = find_images(tmp_path)
    assert (source.id, source.kind, source.is_clip, skipped) == ("a", "video", True, [])
    assert len(list(read_frames(source))) == 4


def test_a_damaged_or_empty_clip_is_refused_in_one_line(tmp_path):
    path = clip(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:200])
    with refused(path, "damaged", hint=".mp4"):
        list(read_video(path))
    path.write_bytes(b"")
    with refused(path, "empty", hint="again"):
        list(read_video(path))
    with refused(tmp_path / "b.mp4", "no such file"):
        list(read_video(tmp_path / "b.mp4"))


def test_a_clip_that_ends_before_its_time_is_told(tmp_path):
    path = clip(tmp_path / "a.avi")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"00dc", 0, whole.index(b"idx1"))])
    with remarks.kept() as lines:
        assert len(list(read_video(path))) == 3
    assert lines == [f"{path}: holds 3 of 4 frames; nothing is known of the others"]
    path = clip(tmp_path / "b.mp4")
    with remarks.kept() as lines:
        list(read_video(path))
    assert lines == []
    with remarks.kept() as lines:
        list(read_video(path, num_frames=12))
    assert lines == [f"{path}: holds 4 of 12 frames; nothing is known of the others"]


def test_a_clip_without_pictures_is_refused(tmp_path):
    av = pytest.importorskip("av", reason="needs PyAV: pip install 'panjax[video]'")
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with refused(path, "only sound"):
        list(read_video(path))


def test_without_pyav_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    path = tmp_path / "a.mp4"
    path.write_bytes(b"film")
    with refused(path, "PyAV", hint="pip install 'panjax[video]'"):
        list(read_video(path))
    with refused(path, "PyAV", "pip install"):
        find_images(path)
