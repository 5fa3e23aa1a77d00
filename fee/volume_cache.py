"""Volumes that screening had to read, kept for the networks: a NIfTI file is decompressed once."""

from core.io.scans import Scan, read_scan
from core.volume import Volume

MAX_BYTES = 1 << 30
"""Of one patient's volumes; 512 × 512 × 667 voxels of int16 take 350 MB."""


class VolumeCache:
    """Volumes of one patient, until they are taken out."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._volumes: dict[str, Volume] = {}

    def read(self, scan: Scan) -> Volume:
        """HU of a scan; kept as long as all that is kept fits.

        Raises:
          InputError: a file cannot be read.
        """
        volume = self._volumes.get(scan.id)
        if volume is None:
            volume = read_scan(scan)
            kept = sum(other.array.nbytes for other in self._volumes.values())
            if kept + volume.array.nbytes <= self._max_bytes:
                self._volumes[scan.id] = volume
        return volume

    def take(self, scan: Scan) -> Volume:
        """HU of a scan, which is not kept any longer.

        Raises:
          InputError: a file cannot be read.
        """
        volume = self._volumes.pop(scan.id, None)
        return read_scan(scan) if volume is None else volume

    def forget(self, scan: Scan) -> None:
        """Drop a scan that is not used."""
        self._volumes.pop(scan.id, None)
