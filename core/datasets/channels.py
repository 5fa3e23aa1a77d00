"""Which channel of a data set is CT, and of which contrast phase, by the name that it is given."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from core.errors import InputError

Phase = Literal["arterial", "venous"]
"""Of contrast, that the systems of two phases look at."""


class OtherPhaseError(InputError):
    """A data set is of other contrast phases than the one that is asked for."""


_TELLS: dict[str, Phase] = {"arter": "arterial", "ven": "venous", "portal": "venous"}
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


def phase_of(channel: str) -> Phase | None:
    """Phase that the name of a channel tells."""
    for key, phase in _TELLS.items():
        if key in channel.lower():
            return phase
    return None


def phases_of(names: Sequence[str], path: Path) -> tuple[Phase, ...]:
    """Phase of each channel, by its name; two that are called CT are arterial and venous.

    Args:
      names: of the channels.
      path: of their description, named in errors.

    Raises:
      InputError: three channels or more, names that tell one phase twice, or that are no CT.
    """
    require_ct(names, path)
    told: list[Phase | None] = [phase_of(name) for name in names]
    if len(names) == 1:
        return (told[0] or "venous",)
    if len(names) == 2 and told == [None, None]:
        return ("arterial", "venous")
    phases: tuple[Phase, ...] = tuple(phase for phase in told if phase)
    if len(phases) != len(names) or len(set(phases)) != len(phases):
        raise InputError(
            f"channels must be an arterial and a venous phase; got {list(names)}",
            path=path,
        )
    return phases


def channel_of_phase(channels: Sequence[str], phase: Phase | None, path: Path) -> int:
    """Index of the channel that shows a contrast phase; without a phase, of the only CT.

    The only channel of a data set that does not tell its phase is taken for the phase asked for.

    Args:
      channels: names.
      phase: that is asked for.
      path: of their description, named in errors.

    Raises:
      OtherPhaseError: all channels are of other phases.
      InputError: no channel is CT, or several are.
    """
    if phase is None or (len(channels) == 1 and phase_of(channels[0]) is None):
        return ct_channel(channels, path)
    phases = phases_of(channels, path)
    if phase not in phases:
        raise OtherPhaseError(f"has no {phase} phase; its channels are {list(channels)}", path=path)
    return phases.index(phase)


def _words(name: str) -> set[str]:
    return set(re.findall("[a-z]+", name.lower()))


def _is_other(name: str) -> bool:
    return bool(_words(name) & _OTHERS)


def _is_ct(name: str) -> bool:
    return bool(_words(name) & (_CT | _PHASES)) and not _is_other(name)
