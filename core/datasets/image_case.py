"""What every layout of a data set of images and masks is read into."""

from dataclasses import dataclass
from pathlib import Path

from core.io.paths import Skipped


@dataclass(frozen=True)
class ImageCase:
    """One image with the truth about it.

    Args:
      id: unique in its data set.
      patient: whose it is; images of one patient stay on one side of every split.
      image: its file.
      masks: files of which each marks a part of the tumor; none where the image is known to show
        no tumor. A mask file may be empty too.
      category: the folder or class that the data set puts it in ("malignant"); None without one.
      stage: T stage, as the table of the data set writes it; None where it does not tell.
      location: of the tumor, likewise.
    """

    id: str
    patient: str
    image: Path
    masks: tuple[Path, ...]
    category: str | None = None
    stage: str | None = None
    location: str | None = None


@dataclass(frozen=True)
class ImageDataset:
    """The labelled images of a data set, and what was left out of it.

    Args:
      name: of its folder.
      root: its folder.
      layout: which reader understood it.
      cases: in natural order of their paths.
      knows_patients: whether `patient` comes from the data; if not, every image stands for one.
      skipped: every file that was found, or promised, and not used.
    """

    name: str
    root: Path
    layout: str
    cases: tuple[ImageCase, ...]
    knows_patients: bool
    skipped: tuple[Skipped, ...]
