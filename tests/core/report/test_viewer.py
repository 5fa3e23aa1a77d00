"""The case page as text: whole in itself, escaped, and closed to any script but its own."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from core.report import html
from core.report.findings import Finding
from core.report.viewer import LabelClass, viewer_page
from core.report.viewer_panel import panel
from core.volume import CANONICAL_DIRECTION, Volume

EVIL = "</script><script>alert('&\"')</script><img src=http://x.y/z>"
CLASSES = {2: LabelClass("tumor", "#ff0000"), 1: LabelClass(EVIL, "#00ff00")}


def volume(shape=(4, 5, 6)):
    array = np.zeros(shape, np.int16)
    return Volume(array, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


PANELS = [panel(EVIL, volume(), np.ones((4, 5, 6), np.uint8)), panel("second", volume())]


def page(title="case", **more):
    return viewer_page(title, PANELS, classes=CLASSES, **more)


def scripts(text):
    return re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)


def scene(text):
    return json.loads(next(body for kind, body in scripts(text) if "json" in kind))


def test_everything_from_outside_is_escaped():
    finding = Finding(EVIL, (1.0, 2.0, 3.0), 1, note=EVIL)
    section = html.text(EVIL, EVIL)
    text = page(EVIL, findings=[finding], sections=[section], subtitle=EVIL, note=EVIL)
    assert "<img" not in text
    assert "alert(" in text
    kinds = [kind for kind, _ in scripts(text)]
    assert len(kinds) == 1 + 3 + 1  # the scene, two images and a label map, the program
    assert not any("alert(" in body for kind, body in scripts(text) if "json" not in kind)
    assert scene(text)["classes"]["1"]["name"] == EVIL


def test_the_policy_lets_this_script_run_and_no_other():
    text = page()
    (program,) = (body for kind, body in scripts(text) if not kind)
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    (policy,) = re.findall(r'Security-Policy" content="([^"]*)"', text)
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_page_refers_to_nothing_outside_of_it():
    classes, found = {1: LabelClass("tumor", "#ff0000")}, [Finding("a", (0.0, 0.0, 0.0), 1)]
    text = viewer_page("case", PANELS[1:], classes=classes, findings=found)
    assert not re.search(r"url\(|@import|https?:|\b(src|href)=|import\s*\(|fetch\(", text)


def test_the_view_begins_at_the_first_finding_or_else_in_the_middle_of_the_labels():
    assert scene(page())["start"] == list(PANELS[0].focus_mm)
    found = [Finding("a", (1.0, 2.0, 3.0), 1), Finding("b", (4.0, 5.0, 6.0), 1)]
    assert scene(page(findings=found))["start"] == [1.0, 2.0, 3.0]
    assert scene(page(findings=found))["centers"] == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_findings_are_listed_with_what_is_known_of_them():
    place = (-1.4, 2.6, 3.0)
    text = page(findings=[Finding("a", place, 7, ml=1.5), Finding("b", place, 8, note="flat")])
    headings = re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", text)
    assert headings == ["finding", "ml", "slice", "LPS mm", "note"]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", text)
    assert cells == ["1.50", "7", "−1, 3, 3", "", "–", "8", "−1, 3, 3", "flat"]


def test_same_content_gives_the_same_page():
    assert page() == page()


def test_refuses_a_page_without_a_series():
    with pytest.raises(ValueError, match="needs a series"):
        viewer_page("x", [], classes={})
