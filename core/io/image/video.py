"""Clips frame by frame, read by PyAV, which is optional."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.io.paths import START_BYTES, refuse_stand_in
from core.io.remarks import remark
from core.volume import Frame

ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".wmv", ".mpg", ".mpeg", ".m4v", ".webm")


def num_video_frames(path: str | Path) -> int | None:
    """Number of frames that a clip's header tells; None where it does not.

    Raises:
      InputError: PyAV is missing, or the file is no video.
    """
    with _opened(Path(path)) as container:
        return container.streams.video[0].frames or None


def read_video(
    path: str | Path, *, stream: bytes | None = None, num_frames: int | None = None
) -> Iterator[Frame]:
    """Frames of a clip in order, upright, with the time of each.

    Gray clips give (H, W), all others (H, W, 3). A clip that ends before its time is remarked, not
    refused: players leave frames out by an edit list, and headers count what was planned.

    Args:
      path: the file, also named in messages.
      stream: an elementary stream to read in its stead.
      num_frames: that are promised; without, those of the clip's own header.

    Raises:
      InputError: PyAV is missing, or the file is no video, or damaged.
    """
    path, held = Path(path), 0
    with _opened(path, stream) as container:
        promised = num_frames or container.streams.video[0].frames
        for picture in container.decode(video=0):
            kind = "gray" if picture.format.name.startswith("gray") else "rgb24"
            array = np.rot90(picture.to_ndarray(format=kind), picture.rotation // 90)
            yield Frame(np.ascontiguousarray(array), time_s=picture.time)
            held += 1
    if not held:
        raise InputError("the video has no frame", path=path, hint="fetch or export it again")
    if held < promised:
        remark(path, f"holds {held} of {promised} frames; nothing is known of the others")


@contextmanager
def _opened(path: Path, stream: bytes | None = None) -> Iterator[Any]:
    av = _library(path)
    try:
        with path.open("rb") as file:
            refuse_stand_in(file.read(START_BYTES), path)
        with av.open(str(path) if stream is None else BytesIO(stream)) as container:
            if not container.streams.video:
                raise InputError("holds no pictures, only sound", path=path)
            yield container
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (av.FFmpegError, EOFError) as error:
        raise InputError(
            f"the video is damaged or of an unknown kind ({type(error).__name__})",
            path=path,
            hint="fetch it again, or export it as .mp4",
        ) from error


def _library(path: Path) -> Any:
    try:
        return importlib.import_module("av")
    except ImportError:
        raise InputError(
            "reading a video needs PyAV", path=path, hint="pip install 'panjax[video]'"
        ) from None
