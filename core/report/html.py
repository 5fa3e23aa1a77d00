"""One self-contained page: no script, no request, nothing to install to read it.

Everything that is not built here is escaped; the page's own policy forbids any loading.
"""

import base64
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from core.report.style import DPI
from core.report.table import Badge, Cell, FileLink, Link, Table

MAX_PICTURES = 40
"""Cases shown with pictures: the page stays small enough to send."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Section:
    """A titled part of the page: a body, and sections inside it.

    Args:
      title: heading.
      body: HTML (`Markup`) made by one of the functions below; any other text is escaped.
      parts: sections inside this one.
      folded: shown as one line until opened; always open in print.
      badge: stands beside the title of a folded section.
    """

    title: str
    body: str = ""
    parts: tuple["Section", ...] = ()
    folded: bool = False
    badge: Badge | None = None


@dataclass(frozen=True)
class Tile:
    """One headline number: what it is, its value, and a small note such as an interval."""

    label: str
    value: str
    note: str = ""


def tiles(title: str, items: Sequence[Tile]) -> Section:
    """Headline numbers side by side."""
    return Section(title, _macro("tiles", items))


def table(title: str, content: Table, *, note: str = "") -> Section:
    """A table, and a note under it."""
    cells = [
        [_cell(cell, text) for cell, text in zip(row, texts, strict=True)]
        for row, texts in zip(content.rows, content.texts(), strict=True)
    ]
    return Section(title, _macro("table", content.columns, cells, content.numeric(), note))


def figure(title: str, png: bytes, *, alt: str, caption: str = "") -> Section:
    """An image, its description for those who cannot see it, and a caption under it.

    Raises:
      ValueError: the bytes are no PNG, or the description is empty.
    """
    if not png.startswith(PNG_SIGNATURE):
        raise ValueError(f"a figure must be a PNG; got bytes that start with {png[:8]!r}")
    if not alt.strip():
        raise ValueError(f"figure {title!r} needs alt: say in one sentence what it shows")
    # The header chunk starts with width and height, so the page does not jump while it loads.
    # Figures have 144 dots per inch, a page 96.
    width, height = (int.from_bytes(png[i : i + 4], "big") * 96 // DPI for i in (16, 20))
    source = Markup("data:image/png;base64,") + Markup(base64.b64encode(png).decode())
    return Section(title, _macro("figure", source, width, height, alt, caption))


def text(title: str, *paragraphs: str) -> Section:
    """Paragraphs of plain text."""
    return Section(title, _macro("text", paragraphs))


def details(
    title: str, parts: Sequence[Section], *, badge: Badge | None = None, note: str = ""
) -> Section:
    """Sections folded under one line; a `Link` to this title opens them."""
    body = _macro("text", [note] if note else [])
    return Section(title, body, tuple(parts), folded=True, badge=badge)


def group(title: str, parts: Sequence[Section]) -> Section:
    """Sections under a common heading."""
    return Section(title, parts=tuple(parts))


def provenance(manifest: Mapping[str, Any]) -> Section:
    """Where the numbers come from: every entry of a run's manifest, folded."""
    entries = Table(("entry", "value"), list(_flat(manifest)))
    return details("Provenance", [Section("", table("", entries).body)])


def page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """The whole page as one HTML document.

    Args:
      title: name of the system and of the run.
      sections: in reading order.
      subtitle: one line under the title.

    Returns:
      HTML5 text to be stored as UTF-8.
    """
    return render("page.html", title=title, subtitle=subtitle, sections=sections)


def render(template: str, **values: Any) -> str:
    """A page by a template that is `page.html` or extends it; whatever it is given is escaped."""
    return _templates.get_template(template).render(anchor=_anchor, **values)


def source(template: str) -> str:
    """Text of a file beside the templates."""
    return (resources.files("core.report") / "templates" / template).read_text("utf-8")


def _cell(cell: Cell, written: str) -> Markup:
    if isinstance(cell, Badge):
        return _macro("badge", cell)
    if isinstance(cell, Link):
        return Markup('<a href="#{}">{}</a>').format(_anchor(cell.section), cell.text)
    if isinstance(cell, FileLink):
        return Markup('<a href="{}">{}</a>').format(quote(os.fsencode(cell.path)), cell.text)
    return Markup.escape(written)


def _anchor(title: str) -> str:
    """Identifier of a section within the page; other characters are written as their code."""
    return "s-" + re.sub(r"[^a-zA-Z0-9-]", lambda m: f"_{ord(m[0]):x}", title)


def _flat(entries: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", str(value)


def _macro(name: str, *arguments: Any) -> Markup:
    return getattr(_templates.get_template("sections.html").module, name)(*arguments)


_templates = jinja2.Environment(
    loader=jinja2.PackageLoader("core.report"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
