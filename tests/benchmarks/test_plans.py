"""The document on scaling shows the results that are kept, each recipe once."""

import json

import pytest

from benchmarks import plans
from core import config
from core.plan.text import as_values
from tests.core.plan.test_estimate import plan, program

COMMIT = "0123456789abcdef"


def test_the_document_shows_the_results_that_are_kept():
    text = plans.DOCUMENT.read_text("utf-8")
    assert plans.document(text) == text


def test_every_row_is_of_a_recipe_as_it_is():
    known = {name: config.fingerprint(cfg) for name, cfg, _ in plans.recipes()}
    for path in plans.KEPT.glob("*.json"):
        for row in json.loads(path.read_text("utf-8")):
            assert row["fingerprint"] == known[row["recipe"]], f"{path.name}: run it again"


@pytest.mark.parametrize(
    ("peak", "shown"), [(8 * 2**30, "8.00 of 16"), (20 * 2**30, "20.00 (!) of 16")]
)
def test_a_row_tells_what_does_not_fit(peak, shown, monkeypatch, tmp_path):
    monkeypatch.setattr(plans, "KEPT", tmp_path)
    row = {"recipe": "s4c/pdac-64", **as_values(plan(program(peak_bytes=peak))), "commit": COMMIT}
    (tmp_path / "chip-4.json").write_text(json.dumps([row]))
    before = f"above\n{plans.BEGIN}\nold\n{plans.END}\nbelow\n"
    text = plans.document(before)
    assert text.startswith("above\n")
    assert text.endswith("\nbelow\n")
    assert "old" not in text
    assert f"| `s4c/pdac-64` | 16 | 4 of 4 | {shown} | 2 | 10 | 57 all-reduce" in text
    assert f" | {COMMIT[:7]} |" in text


def test_what_is_there_is_compiled_again_only_if_asked(monkeypatch, tmp_path):
    class CompilesError(Exception):
        pass

    def job_of(cfg):
        raise CompilesError

    monkeypatch.setattr(plans, "KEPT", tmp_path)
    (name, cfg, _), *_ = plans.recipes()
    row = {"recipe": name, "fingerprint": config.fingerprint(cfg)}
    (tmp_path / "chip-4.json").write_text(json.dumps([row]))
    plans._add("chip:4", name, cfg, job_of, again=False)
    with pytest.raises(CompilesError):
        plans._add("chip:4", name, cfg, job_of, again=True)
