"""Steps of one fold: networks, segmentations, and every method's answer about every patient."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.commands.steps import LeftOut, Step
from lnmet.identification.identify import identify
from lnmet.infer import segment
from lnmet.status.methods import NODES, NODES_NO_ATTENTION
from lnmet.study.answers import SEGMENTED, of_fold, write_answers
from lnmet.study.plan import STATUS, Plan
from lnmet.study.signatures import RADIOMICS, write_signatures
from lnmet.train import train

IDENTIFIED, ANSWERS = "identified", "answers"
_NODES = {NODES: "nodes", NODES_NO_ATTENTION: "nodes-no-attention"}


def fold_steps(plan: Plan, fold: int, workers: int) -> list[Step]:
    """Steps of one fold.

    Args:
      plan: the study.
      fold: from 0.
      workers: processes that cut patches; 0 for threads.
    """

    def training(name: str, weights: str, nodes: str, folder: Path) -> None:
        if (lack := plan.lack(name)) is not None:
            raise LeftOut(lack)
        beside = folder.parent
        train(
            plan.cfgs[name],
            [plan.cache],
            folder,
            fold=fold,
            weights=beside / weights if weights else None,
            nodes=[beside / nodes] if nodes else (),
            workers=workers,
            resume=True,
        )

    def network(
        name: str, needs: Sequence[str] = (), *, weights: str = "", nodes: str = ""
    ) -> Step:
        return Step(name, partial(training, name, weights, nodes), needs)

    def answers(folder: Path) -> None:
        segmented = {rule: folder.parent / name for rule, name in SEGMENTED.items()}
        write_answers(plan, of_fold(plan, fold), folder.parent, segmented, folder)

    of_organs = [] if plan.organs is not None else ["organs"]
    return [
        *(network(name) for name in of_organs),
        *(network(name) for name in _NODES.values()),
        network("identification", ["nodes"], weights="nodes"),
        *(_segmenting(plan, rule, of_organs) for rule in SEGMENTED),
        Step(IDENTIFIED, partial(_identify, plan), ["identification"]),
        network("status", [SEGMENTED[NODES], "identification"], nodes=SEGMENTED[NODES]),
        *(network(name) for name in STATUS if name != "status"),
        Step(RADIOMICS, lambda folder: write_signatures(plan, of_fold(plan, fold), folder)),
        Step(ANSWERS, answers, uses=[*SEGMENTED.values(), *STATUS, RADIOMICS]),
    ]


def _segmenting(plan: Plan, rule: str, of_organs: Sequence[str]) -> Step:
    def work(folder: Path) -> None:
        segment_by(plan, rule, plan.data, folder.parent, folder)

    return Step(SEGMENTED[rule], work, [*of_organs, _NODES[rule]], ["identification"])


def segment_by(plan: Plan, rule: str, data: Sequence[Path], fold: Path, out: Path) -> None:
    """Segment all cases of data sets with the runs of a fold.

    Of a study's own data the status is learned from some, and judged on others.
    """
    names = [*(["organs"] if plan.organs is None else []), _NODES[rule], "identification"]
    runs = [fold / name for name in names if (fold / name).is_dir()]
    segment(list(data), runs=runs, out=out, organs=plan.organs, label_map=plan.label_map)


def _identify(plan: Plan, folder: Path) -> None:
    identify(list(plan.data), runs=[folder.parent / "identification"], out=folder, held_out=True)
