"""Pictures of any kind: an image, a DICOM file, a video, or a folder of them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import InputError
from core.io.dicom.header import NotUsedError
from core.io.dicom.picture import read_picture_header, read_pictures
from core.io.image.mask import masks_among
from core.io.image.still import ENDINGS as IMAGE_ENDINGS
from core.io.image.still import num_pages, read_pages
from core.io.image.video import ENDINGS as VIDEO_ENDINGS
from core.io.image.video import num_video_frames, read_video
from core.io.paths import (
    Skipped,
    below,
    files_at,
    is_shadow,
    natural,
    refuse_stand_in,
    summary,
    unique_ids,
)
from core.volume import Frame

DICOM_MAGIC, DICOM_ENDINGS = b"DICM", (".dcm", ".dicom", ".ima")
START_BYTES = 128  # before the magic word
FOREIGN = "neither an image, nor DICOM, nor a video"


@dataclass(frozen=True)
class ImageSource:
    """One file of pictures that can be read.

    Args:
      id: unique among the files found with it; made of file and folder names, never of a header.
      path: the file.
      kind: what it is stored as.
      num_frames: pictures in it; None for a video whose header does not tell.
    """

    id: str
    path: Path
    kind: Literal["image", "dicom", "video"]
    num_frames: int | None

    @property
    def is_clip(self) -> bool:
        """Whether it holds, or may hold, more than one picture."""
        return self.num_frames != 1


def find_images(path: str | Path) -> tuple[list[ImageSource], list[Skipped]]:
    """Find the pictures at a path, from headers alone.

    Masks that lie beside their images ("a_mask.png", "masks/a.png") are not pictures to work on.

    Args:
      path: a file, or a folder that holds any of them at any depth, among whatever else.

    Returns:
      Files in natural order ("a (2)" before "a (10)"), at least one, and every other file with
      the reason why it was left out.

    Raises:
      InputError: there is nothing at the path, or nothing usable; the line says why.
    """
    path = Path(path)
    files = sorted(files_at(path), key=natural)
    masks = masks_among(files) if path.is_dir() else set()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda file: _source(file, masks), files))
    sources = [result for result in results if isinstance(result, ImageSource)]
    skipped = [result for result in results if isinstance(result, Skipped)]
    if not sources:
        if path.is_file():
            raise InputError(skipped[0].reason, path=path)
        raise InputError(f"no image, DICOM or video: {summary(skipped)}", path=path)
    return _with_ids(sources, path), skipped


def read_frames(source: ImageSource) -> Iterator[Frame]:
    """Pictures of a source in order, one in memory at a time.

    Raises:
      InputError: the file cannot be read.
    """
    readers = {"image": read_pages, "dicom": read_pictures, "video": read_video}
    return readers[source.kind](source.path)


def source_of(path: Path) -> ImageSource:
    """What kind of pictures a file holds; its name is its id.

    Raises:
      InputError: none that can be read; the line says why.
    """
    try:
        if _is_dicom(path):
            if (start := _start(path)) is not None:
                refuse_stand_in(start, path)
            return ImageSource(path.stem, path, "dicom", read_picture_header(path).num_frames)
        if path.suffix.lower() in VIDEO_ENDINGS:
            return ImageSource(path.stem, path, "video", num_video_frames(path))
        return ImageSource(path.stem, path, "image", num_pages(path))
    except NotUsedError as reason:
        raise InputError(str(reason), path=path) from None


def _source(file: Path, masks: set[Path]) -> ImageSource | Skipped:
    if is_shadow(file) or file.name.startswith("."):
        return Skipped(file, "hidden or macOS shadow file")
    if file in masks:
        return Skipped(file, "a mask, by its name and place")
    try:
        return source_of(file)
    except InputError as error:
        ending, dicom = file.suffix.lower(), _is_dicom(file)
        stand_in = error.message.startswith(("this is", "the file is"))
        # A DICOM file without a picture may be a report; one that is not there is missed.
        broken = ending in (*IMAGE_ENDINGS, *VIDEO_ENDINGS) or (stand_in and dicom)
        reason = f"{error.message}; {error.hint}" if error.hint else error.message
        return Skipped(file, reason if broken or stand_in or dicom else FOREIGN, broken)


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() in DICOM_ENDINGS:
        return True
    return (_start(path) or b"")[START_BYTES:] == DICOM_MAGIC


def _start(path: Path) -> bytes | None:
    """The bytes that tell DICOM from all else."""
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES + len(DICOM_MAGIC))
    except OSError:  # told where the file is read
        return None


def _with_ids(sources: Sequence[ImageSource], root: Path) -> list[ImageSource]:
    """Name each file by its path below `root`."""
    endings = [s.path.suffix for s in sources]
    names = [below(s.path, root, [e]) for s, e in zip(sources, endings, strict=True)]
    ids = unique_ids(names, instead="image")
    return [
        ImageSource(name, s.path, s.kind, s.num_frames)
        for name, s in zip(ids, sources, strict=True)
    ]
