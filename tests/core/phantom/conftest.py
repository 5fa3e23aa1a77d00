import pytest

from core.phantom.ct.phantom import Phantom, make

GRID = {"shape": (72, 110, 130), "spacing_mm": (2.5, 2.5, 2.5)}


@pytest.fixture(scope="session")
def sick() -> Phantom:
    return make(3, **GRID, tumor_diameter_mm=24.0)


@pytest.fixture(scope="session")
def healthy() -> Phantom:
    return make(3, **GRID, tumor_diameter_mm=None)
