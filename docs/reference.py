"""Writes a page for every room of core and for every paper package, from their docstrings.

python docs/reference.py [FOLDER]      (docs/reference unless given; `make reference`)

The source is read, not run: what is public has no underscore before its name, and a docstring.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAPERS = ("s4c", "fee", "lnmet", "eusdaf")
Definition = ast.FunctionDef | ast.ClassDef
SECTION = re.compile(r"(Args|Returns|Raises|Yields|Source):(.*)")


def pages() -> dict[str, list[Path]]:
    """Files of each page: a room of core, whole or one file, or a package."""
    rooms = (p for p in sorted((ROOT / "core").iterdir()) if p.name not in ("__init__.py",))
    of = {f"core.{room.stem}": room for room in rooms if room.is_dir() or room.suffix == ".py"}
    of |= {paper: ROOT / paper for paper in PAPERS}
    files = {name: [p] if p.is_file() else sorted(p.rglob("*.py")) for name, p in of.items()}
    return {name: found for name, found in files.items() if found}


def page(name: str, files: list[Path]) -> str:
    """Markdown of a page."""
    parts = [f"# {name}"]
    for path in files:
        tree = ast.parse(path.read_text("utf-8"))
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        inside = [*_constants(tree), *_definitions(tree)]
        if inside or module == name:
            title = [f"## {module}"] if module != name else []
            parts += [*title, _text(ast.get_docstring(tree) or ""), *inside]
    return "\n\n".join(part for part in parts if part) + "\n"


def _definitions(tree: ast.Module | ast.ClassDef, of: str = "") -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            if not (text := ast.get_docstring(node)):
                continue
            yield f"### {of}{node.name}"
            yield f"```python\n{_signature(node)}\n```"
            yield _text(text)
            if isinstance(node, ast.ClassDef):
                yield "\n".join(_constants(node))
                yield from _definitions(node, of=f"{node.name}.")


def _signature(node: Definition) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


def _constants(tree: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Names with a string below them: constants of a module, fields of a class."""
    for node, below in zip(tree.body, tree.body[1:], strict=False):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        name = targets[0].id if isinstance(targets[0], ast.Name) else "_"
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if is_text and isinstance(below.value.value, str) and not name.startswith("_"):
            yield f"- `{ast.unparse(node)}`: {' '.join(below.value.value.split())}"


def _text(docstring: str) -> str:
    """A docstring with its sections as lists."""
    lines, is_list = [], False
    for line in docstring.splitlines():
        if section := SECTION.fullmatch(line):
            is_list = section[1] in ("Args", "Raises")
            line = f"**{section[1]}**{section[2]}\n"
        elif is_list and (item := re.fullmatch(r" {2}([*\w]+): (.*)", line)):
            line = f"- `{item[1]}`: {item[2]}"
        elif line.startswith("  "):
            line = line if is_list else line[2:]
        lines.append(line)
    return "\n".join(lines)


def main(folder: Path) -> None:
    """Write the pages, and an index of them."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = ["# Reference", ""]
    for name, files in pages().items():
        text = page(name, files)
        (folder / f"{name}.md").write_text(text, "utf-8")
        first = next((line for line in text.splitlines()[1:] if line), "")
        listed.append(f"- [{name}]({name}.md): {first}")
    (folder / "README.md").write_text("\n".join(listed) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else ROOT / "docs" / "reference")
