import json
import tomllib

import pytest

from benchmarks import provenance, results


def row(name, ratio, device="cpu", peer=None):
    return {"name": name, "device": device, "peer": peer, "ratio": ratio}


def read(folder):
    return json.loads((folder / "file.json").read_text())


def test_rows_take_the_place_of_their_namesakes_on_the_same_device(tmp_path):
    before = [row("a", 1.0), row("b", 2.0), row("a", 3.0, device="gpu")]
    results.save("file", before, tmp_path / "results")
    results.save("file", [row("a", float("nan"))], tmp_path / "results")
    assert read(tmp_path / "results") == [*before[1:], row("a", None)]


def test_rows_of_another_peer_stay_and_those_of_another_version_go(tmp_path):
    old, new, other = "PyTorch 2.13.0+cpu, 2 threads", "PyTorch 3.0, 2 threads", "scipy 1.17"
    results.save("file", [row("a", 1.0, peer=old), row("a", 2.0, peer=other)], tmp_path)
    results.save("file", [row("a", 3.0, peer=new), row("a", 4.0)], tmp_path)
    assert [r["ratio"] for r in read(tmp_path)] == [2.0, 3.0, 4.0]


def test_every_reported_timing_keeps_its_hardware_and_source():
    timings = tomllib.loads(results.REPORTED.read_text("utf-8"))["timing"]
    assert timings
    for timing in timings:
        keys = {"system", "what", "kind", "value", "unit", "hardware", "source"}
        assert set(timing) - {"ours", "examples"} == keys
        assert ("ours" in timing) == ("examples" in timing)
        assert timing["value"] > 0
        assert timing["kind"] in ("time", "rate")


@pytest.mark.parametrize("said", [s for s in results.reported() if "ours" in s])
def test_what_stands_beside_a_reported_time_was_measured(said):
    assert said["ours"] in {r["name"] for file in results.names() for r in results.load(file)}


def test_provenance_names_device_versions_and_commit():
    facts = provenance.provenance()
    assert set(facts) == {"device", "versions", "commit"}
    assert {"python", "jax", "numpy"} <= set(facts["versions"])
