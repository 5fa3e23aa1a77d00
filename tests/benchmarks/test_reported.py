import tomllib
from pathlib import Path

import benchmarks


def test_every_reported_timing_keeps_its_hardware_and_source():
    text = (Path(benchmarks.__file__).parent / "reported.toml").read_text()
    timings = tomllib.loads(text)["timing"]
    assert timings
    for timing in timings:
        keys = {"system", "what", "kind", "value", "unit", "hardware", "source"}
        assert set(timing) == keys
        assert timing["value"] > 0
        assert timing["kind"] in ("time", "rate")
