"""What is found in a folder of DICOM slices."""

from pathlib import Path

from core.io.dicom.geometry import grid
from core.io.dicom.pixels import read_hu
from core.io.dicom.slice_header import SliceHeader
from core.io.inventory import take_inventory
from core.io.paths import Skipped


def find_volumes(
    path: Path, *, min_slices: int
) -> tuple[list[tuple[SliceHeader, ...]], list[Skipped]]:
    """Volumes below a path, and what is not used, with each refused series as one."""
    with take_inventory(path, min_slices=min_slices, work=None) as inventory:
        return [scan.frames for scan in inventory.scans()], list(inventory.skipped())


def find(folder):
    """Volumes of at least eight slices, and the reasons why other files are not used."""
    volumes, skipped = find_volumes(folder, min_slices=8)
    assert "SECRET" not in repr(volumes) + repr(skipped)
    return volumes, [s.reason for s in skipped]


def read(folder):
    """The one volume of a folder that holds nothing else."""
    (volume,), reasons = find(folder)
    assert reasons == []
    return grid(volume).with_array(read_hu(volume))


def refusal(folder):
    """Why the one series of a folder is no volume."""
    volumes, (reason,) = find(folder)
    assert volumes == []
    return reason
