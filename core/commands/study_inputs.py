"""What a study is of: recipes with what the call overrides, prepared data, and its cases."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from core import config
from core.commands.steps import Step, read_steps, run_steps
from core.commands.study import refuse_another
from core.data.index import caches_in, read_index
from core.errors import InputError

C = TypeVar("C")

PREPARED = "prepared"


def choose_recipes(
    known: Mapping[str, C],
    names: Sequence[str],
    choices: Mapping[str, Any],
    *,
    same: Sequence[str] = ("split", "prepare"),
) -> dict[str, C]:
    """Configs of the networks of a study.

    Args:
      known: the paper's recipes.
      names: those of the study, in their order.
      choices: overrides of all of them, "section.field" → value.
      same: sections that all of them must share, as they share patients and a cache.

    Raises:
      InputError: an unknown recipe, one that comes twice, a value that a recipe refuses, or recipes
        that differ in what they must share.
    """
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"unknown recipe {unknown[0]!r}; known are {', '.join(known)}")
    if len(set(names)) < len(names):
        raise InputError(f"a recipe comes twice: {', '.join(names)}")
    cfgs = {name: config.overridden(known[name], choices) for name in names}
    first = cfgs[names[0]]
    for name, cfg in cfgs.items():
        for section in same:
            if lines := config.diff(getattr(first, section), getattr(cfg, section)):
                raise InputError(
                    f"{names[0]} and {name} differ in {section}.{lines[0]}",
                    hint=f"study them apart, or set --{section}.* for both",
                )
    return cfgs


def describe(
    data: Sequence[Path], cfgs: Mapping[str, Any], options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What decides the results of a study, but for its cases, as study.json has it.

    Args:
      data: data sets.
      cfgs: configs by the name of their recipe.
      options: other flags that change the results.
    """
    return {
        "data": [str(path.resolve()) for path in data],
        "recipes": {name: json.loads(config.to_json(cfg)) for name, cfg in cfgs.items()},
        "options": dict(options or {}),
    }


def describe_cases(cases: Iterable[Any]) -> dict[str, Any]:
    """Identity of the prepared cases, each with `id`, `patient` and `digest`."""
    rows = sorted((case.id, case.patient, case.digest) for case in cases)
    fingerprint = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]
    return {"num_cases": len(rows), "cases": fingerprint}


def prepared(
    out: Path,
    data: Sequence[Path],
    described: Mapping[str, Any],
    cache: Path | None,
    find: Callable[[Sequence[Path], Path], Path],
    *,
    one_fold: bool,
) -> Path:
    """Folder of prepared cases: in the cache that the user made, or in OUT/prepared.

    Args:
      out: OUT.
      data: data sets.
      described: of `describe`; another study's folder is left alone.
      cache: what `prepare` wrote of the data sets, if the user called it.
      find: the paper's `find_cache`: (cache or data sets, OUT) → folder; prepares data sets.
      one_fold: whether other folds may be done at the same time.

    Raises:
      InputError: OUT is of another study; data sets that are a cache; nothing is prepared, and
        several jobs would do it; or a cache of other data sets.
    """
    refuse_another(out, described)
    if caches := [path for path in data if next(caches_in(path), None)]:
        hint = "give it with --cache, and the data sets with --data"
        raise InputError("is a cache", path=caches[0], hint=hint)
    if cache is None:
        cache, step = out / PREPARED, Step(PREPARED, lambda _: find(data, out))
        if one_fold and PREPARED not in read_steps(out, [step], described):
            raise InputError(
                "nothing is prepared here, and jobs for several folds would do it at once",
                path=out,
                hint="run prepare before, and give --cache",
            )
        run_steps(out, [step], described)
    folder = find([cache], out)
    cached = read_index(folder).keys()
    if cached != {path.resolve() for path in data}:
        listed, hint = ", ".join(map(str, sorted(cached))), "give each of them with --data"
        raise InputError(f"was prepared of {listed}", path=folder, hint=hint)
    return folder
