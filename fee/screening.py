"""Which series FEE-DL looks at: axial images of 512 × 512 pixels in a contrast phase.

Of several reconstructions of one phase it wants one of 3 to 5 mm. `core.screening` does the rest.
"""

from core.screening.series import Rules, Series
from fee.config import ScreenConfig

THICKNESS_MM = (3.0, 5.0)  # Methods, Patients


def rules(cfg: ScreenConfig) -> Rules:
    """Rules of screening as a recipe has them."""
    unknown = ("unknown",) if cfg.unknown == "use" else ()
    return Rules(
        refuse_size=lambda size: slice_size_refusal(size, cfg),
        phases=(*cfg.phases, *unknown),
        min_slices=cfg.min_slices,
        off_mm=off_mm,
    )


def slice_size_refusal(size: tuple[int, ...], cfg: ScreenConfig) -> str:
    """Why images of this size are not used; empty for the size that the recipe wants."""
    if cfg.size == 0 or size == (cfg.size, cfg.size):
        return ""
    return f"not {cfg.size} × {cfg.size} pixels ({size[0]} × {size[1]})"


def off_mm(series: Series) -> float:
    """How far the thickness of a series' slices is from the paper's; an untold one counts as 0."""
    thickness = series.acquisition.thickness_mm or 0.0
    return max(THICKNESS_MM[0] - thickness, thickness - THICKNESS_MM[1], 0.0)
