"""What the label names of a data set mean: those that are known, and what a user says of others.

`--labels lesion=tumor,parenchyma=pancreas,*=background`: a name means what the flag says of it,
else what it is known for; `*` stands for all names that are left.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from core.datasets.case import plain_name
from core.errors import InputError

OTHERS = "*"
"""In place of a name: all that are neither named nor known."""


class LabelNames(NamedTuple):
    """What a user says that names mean.

    Args:
      words: plain name, or `OTHERS` → plain name of what it means.
    """

    words: Mapping[str, str] = {}

    def said_of(self, names: Iterable[str], known: Collection[str]) -> dict[str, str]:
        """What is said of some names: plain name → meaning, for those that anything is said of.

        Args:
          names: of a data set.
          known: plain names that mean something unless the user says otherwise.
        """
        said = {}
        for name in map(plain_name, names):
            if name in self.words or (OTHERS in self.words and name not in known):
                said[name] = self.words.get(name, self.words.get(OTHERS, name))
        return said

    def made(self, recorded: Iterable[Mapping[str, str]]) -> bool:
        """Whether caches of data sets with `recorded`, of `said_of`, were made by these words."""
        names = {name: word for said in recorded for name, word in said.items()}
        asked = {name: self.words.get(name, self.words.get(OTHERS)) for name in names}
        return asked == names and set(self.words) - {OTHERS} <= set(names)


def parse_labels(
    text: str | None, known: Collection[str], *, meanings: Iterable[str]
) -> LabelNames:
    """Read the value of `--labels`; None says nothing.

    Args:
      text: `name=meaning,…`; "" says nothing, as None does.
      known: plain names that mean something: each can be said of another name.
      meanings: those of them that a line about it lists, one for each meaning.

    Raises:
      InputError: it is not of that form, says two things of a name, or a meaning is not known.
    """
    words: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        name, sign, meaning = (plain_name(part) for part in pair.partition("="))
        if not (name and sign and meaning):
            raise InputError(
                f"--labels has {pair!r}", hint="write name=meaning,name=meaning, or *=background"
            )
        if meaning not in known:
            raise InputError(
                f"--labels says {pair.strip()!r}, and {meaning!r} is no meaning",
                hint=f"a name can mean {', '.join(meanings)}",
            )
        if words.setdefault(name, meaning) != meaning:
            raise InputError(f"--labels says {words[name]!r} and {meaning!r} of {name!r}")
    return LabelNames(words)


def ids_of_names(
    names: Iterable[str],
    known: Mapping[str, int],
    labels: LabelNames,
    *,
    path: Path,
    meanings: Iterable[str],
    others: int | None = None,
) -> dict[str, int]:
    """Id of each label name of a data set.

    Args:
      names: as the data set writes them.
      known: plain name → id.
      labels: what the user says.
      path: of what names them, for errors.
      meanings: what a name can be said to mean, for errors.
      others: id of names that nothing is known of; None refuses them.

    Raises:
      InputError: a name that is not known.
    """
    said = labels.said_of(names, known)
    ids = {name: known.get(said.get(plain_name(name), plain_name(name)), others) for name in names}
    if unknown := [name for name, id_ in ids.items() if id_ is None]:
        listed = ", ".join(map(repr, unknown[:5])) + (" …" if unknown[5:] else "")
        raise InputError(
            f"label names {listed} are not known",
            path=path,
            hint=f"say what they mean: --labels '{unknown[0]}={'|'.join(meanings)},*=background'",
        )
    return {name: id_ for name, id_ in ids.items() if id_ is not None}


def require_named(labels: LabelNames, names: Iterable[str], path: Path) -> None:
    """Refuse words about a name that no data set has.

    Args:
      labels: what the user says.
      names: of all data sets together.
      path: of the first of them.

    Raises:
      InputError: there is such a name.
    """
    there = dict.fromkeys(map(plain_name, names))
    if absent := [name for name in labels.words if name != OTHERS and name not in there]:
        raise InputError(
            f"--labels names {', '.join(map(repr, absent))}, which no data set has",
            path=path,
            hint=f"there are {', '.join(map(repr, there))}",
        )
