"""Which channel of a data set is CT, by the name that its description gives it."""

import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import InputError

_CT = {"ct", "cect", "ncct", "cta", "tomography"}
# Contrast phases are of CT where nothing else is named.
_PHASES = {"arterial", "venous", "portal", "portalvenous", "pancreatic", "native", "delayed"}
_OTHERS = {"pet", "petct", "suv", "fdg", "spect", "mr", "mri", "us", "ultrasound"}
_OTHERS |= {"t", "flair", "adc", "dwi", "dixon"}  # T1, T2w, T1ce … without their digits


def require_ct(channels: Sequence[str], path: Path) -> None:
    """Refuse channels of which one is named after another modality than CT.

    Args:
      channels: names.
      path: of their description, named in errors.

    Raises:
      InputError: there is one.
    """
    if others := [name for name in channels if _is_other(name)]:
        raise InputError(
            f"channels must be CT; got {list(channels)}, of which {others} are no CT",
            path=path,
            hint="keep the CT channels, and their files, alone",
        )


def ct_channel(channels: Sequence[str], path: Path) -> int:
    """Index of the one channel that is CT.

    A channel by itself is CT unless its name says otherwise: nnU-Net also takes names of
    normalisations, such as "zscore".

    Args:
      channels: names.
      path: of their description, named in errors.

    Raises:
      InputError: no channel is CT, or several are.
    """
    if len(channels) == 1:
        require_ct(channels, path)
        return 0
    found = [index for index, name in enumerate(channels) if _is_ct(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"several channels are CT: {[channels[index] for index in found]}",
            path=path,
            hint="keep one of them, and its files",
        )
    raise InputError(
        f"no channel is called CT; got {list(channels)}",
        path=path,
        hint='name the CT channel "CT" in channel_names (nnU-Net) or modality (MSD)',
    )


def _words(name: str) -> set[str]:
    return set(re.findall("[a-z]+", name.lower()))


def _is_other(name: str) -> bool:
    return bool(_words(name) & _OTHERS)


def _is_ct(name: str) -> bool:
    return bool(_words(name) & (_CT | _PHASES)) and not _is_other(name)
