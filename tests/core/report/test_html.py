"""The page: whole in itself, escaped, and readable for machines that read aloud."""

import os
import re
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import pytest

from core.report import html
from core.report.learning import learning_curves
from core.report.table import Badge, FileLink, Link, Table

EVIL = "<script>alert('&\"')</script>"
PNG = learning_curves([], ["loss"])
VOID = {"meta", "img", "br", "link", "input", "hr"}


class _Reader(HTMLParser):
    """Collects tags and text, and fails on tags that do not close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def _page(title="Report", subtitle="held-out cases"):
    overlay = html.figure("View", PNG, alt=f"alt {EVIL}", caption=EVIL)
    return html.page(
        title,
        [
            html.tiles(
                "Results", [html.Tile("AUC", "0.9", "95 % CI"), html.Tile(EVIL, EVIL, EVIL)]
            ),
            html.table("Cases", Table(("case", EVIL), [(Link("a", "a b/c"), EVIL)]), note=EVIL),
            html.text("About", EVIL, "second"),
            html.group("By case", [html.details("a b/c", [overlay], badge=Badge(EVIL, "bad"))]),
            html.provenance({"versions": {"jax": "0.10"}, "devices": ["cpu:0", EVIL]}),
        ],
        subtitle=subtitle,
    )


def test_every_tag_closes_in_order():
    _Reader(_page())


def test_everything_from_outside_is_escaped():
    text = _page(title=EVIL, subtitle=EVIL)
    assert "<script" not in text
    assert "".join(_Reader(text).words).count("alert(") >= 10


def test_a_body_that_is_not_made_by_the_room_is_escaped():
    text = html.page("x", [html.Section("y", body=EVIL)])
    assert "<script" not in text


def test_page_loads_nothing():
    reader = _Reader(_page())
    for _, attributes in reader.tags:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert not {"script", "link", "iframe"} & {tag for tag, _ in reader.tags}
    assert not re.search(r"url\(|@import|https?://", _page())
    policies = [m["content"] for m in reader.all("meta") if "http-equiv" in m]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_a_file_of_any_name_is_linked_by_its_path():
    path = f'cases/a "b" #1%{os.fsdecode(bytes([0xB1]))}/report.html'
    text = html.table("x", Table(("case", "page"), [("a", FileLink(EVIL, path))])).body
    (link,) = _Reader(text).all("a")
    assert unquote_to_bytes(link["href"]) == os.fsencode(path)
    assert not set(link["href"]) & set(' "#')
    assert "<script" not in text


def test_every_link_leads_to_one_place_on_the_page():
    reader = _Reader(_page())
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in reader.all("a")} <= set(ids)


def test_different_titles_have_different_anchors():
    page = html.page("x", [html.text("a b", ""), html.text("a-b", ""), html.text("a_b", "")])
    assert len({s["id"] for s in _Reader(page).all("section")}) == 3


def test_images_have_descriptions_and_their_size():
    (image,) = _Reader(_page()).all("img")
    assert image["alt"] == f"alt {EVIL}"
    assert int(image["width"]) == pytest.approx(4.4 * 96, abs=1)  # inches, CSS dots per inch
    assert int(image["height"]) == pytest.approx(3.4 * 96, abs=1)


def test_page_names_its_language_title_and_one_main_heading():
    reader = _Reader(_page())
    assert reader.all("html") == [{"lang": "en"}]
    assert len(reader.all("h1")) == len(reader.all("title")) == len(reader.all("main")) == 1


def test_same_content_gives_the_same_page():
    assert _page() == _page()


def test_provenance_writes_nested_entries_with_dots():
    words = [word.strip() for word in _Reader(_page()).words]
    assert "versions.jax" in words
    assert f"cpu:0, {EVIL}" in words


def test_refuses_a_figure_that_is_no_png():
    with pytest.raises(ValueError, match="must be a PNG"):
        html.figure("x", b"GIF89a", alt="x")


def test_refuses_a_figure_without_description():
    with pytest.raises(ValueError, match="figure 'x' needs alt"):
        html.figure("x", PNG, alt=" ")
