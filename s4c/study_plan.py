"""What a cross-validation trains, and which networks it asks together: rows of the tables."""

from collections.abc import Mapping
from typing import NamedTuple

from core.errors import InputError
from s4c.classifier.config import ClassifierConfig
from s4c.config import Config


class Screening(NamedTuple):
    """A row of a table: the runs that are asked, and whether the last one answers alone."""

    runs: tuple[str, ...]
    alone: bool = False


class Plan(NamedTuple):
    """Runs of a fold, by name.

    Args:
      cfgs: networks that segment.
      classifiers: recipe of the classifier; none or one.
      on: runs of the classifier → the run that each is on.
      screenings: what is asked of which runs, the paper's own system first.
    """

    cfgs: Mapping[str, Config]
    classifiers: Mapping[str, ClassifierConfig]
    on: Mapping[str, str]
    screenings: Mapping[str, Screening]

    @property
    def classifier(self) -> ClassifierConfig:
        """Its recipe, where there is one."""
        (cfg,) = self.classifiers.values()
        return cfg


def of_scales(cfgs: Mapping[str, Config], classifiers: Mapping[str, ClassifierConfig]) -> Plan:
    """A cascade, then each of its networks (Table 1); and a classifier on the coarse one.

    Raises:
      InputError: two networks of one patch size.
    """
    ordered = dict(sorted(cfgs.items(), key=lambda named: -named[1].data.patch))
    sizes = [cfg.data.patch for cfg in ordered.values()]
    if len(set(sizes)) < len(sizes):
        raise InputError(f"recipes {', '.join(ordered)} have patches of {sizes} voxels; one a size")
    coarse, *fine = ordered
    rows = {"screen": Screening((coarse, *fine))}
    if fine:
        rows[f"screen-{coarse}"] = Screening((coarse,))
        rows |= {f"screen-{name}": Screening((coarse, name), alone=True) for name in fine}
    rows |= {f"screen-{name}": Screening((coarse, name)) for name in classifiers}
    return Plan(ordered, classifiers, dict.fromkeys(classifiers, coarse), rows)


def of_phases(cfgs: Mapping[str, Config], classifiers: Mapping[str, ClassifierConfig]) -> Plan:
    """Each kind of network, of both phases together (PNET Tables 1 and 2); and a classifier.

    What each phase says for itself is evaluated of the same screening.

    Raises:
      InputError: a network of no phase, or two of one kind and phase.
    """
    kinds: dict[str, dict[str, str]] = {}
    for name, cfg in cfgs.items():
        phase, of_kind = cfg.prepare.phase, kinds.setdefault(cfg.model.network, {})
        if phase is None or phase in of_kind:
            what = "no phase" if phase is None else f"the {phase} phase, as {of_kind[phase]} is"
            raise InputError(f"recipe {name} is of {what}", hint="give one for each phase")
        of_kind[phase] = name
    rows = {
        f"screen-{kind}" if number else "screen": Screening(tuple(of_kind.values()))
        for number, (kind, of_kind) in enumerate(kinds.items())
    }
    first = rows["screen"].runs
    on = {f"{name}-{coarse}": coarse for name in classifiers for coarse in first}
    rows |= {f"screen-{name}": Screening((*first, *on)) for name in classifiers}
    return Plan(cfgs, classifiers, on, rows)
