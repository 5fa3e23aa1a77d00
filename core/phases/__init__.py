"""Contrast phases of CT: told by words, times and the image. Host room."""

from typing import Literal

Phase = Literal["arterial", "venous", "delayed", "native", "unknown"]
