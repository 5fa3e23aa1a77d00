"""The papers whose commands keep the contract: a small data set, and words to call them with."""

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import lnmet.demo
import s4c.demo
from core import cli
from core.phantom.ultrasound.cohort import write_image_cohort


class Upper(NamedTuple):
    """A recipe whose run is built on that of another.

    Args:
      on: flag of `train` that names that run, and its recipe.
      few: flags of `train`, as of `Commands`.
      training: module that draws its batches.
    """

    on: tuple[str, str]
    few: tuple[str, ...]
    training: str


class Commands(NamedTuple):
    """A paper as its users call it.

    Args:
      name: of the package and its console script.
      verb: the paper's own job.
      write: (folder, seed, number) → writes a data set of so many patients.
      write_pairs: likewise, of two cases each, as public data sets tell whose they are.
      rename: (data set, prefix) → gives all cases other names, as another data set has.
      inputs: data set → what the verb is called on.
      damage: data set → the file of one case that was cut short.
      recipes: that a system needs; one run each, those behind that the others are built on.
      upper: those among them that are built on others.
      few: flags of `train`: little of everything, two parts, seconds. Few windows or pictures at a
        time, for there are few: the others would be padding.
      fold: flags of `train` that hold patients out.
      other: flags of `prepare` that make another preparation than the recipes want.
      choice: an operating choice, as flags and as results.json has it.
      counts: of a summary of `evaluate`, that together are the cases in it.
      arrays: of a prepared case, whose bytes are told before it is made.
      names_labels: whether its data sets name their labels, in dataset.json.
      uses_folds: whether folds of splits_final.json are used; where not, a warning tells so.
      same: flags of `prepare` that make what the recipes want.
      training: module that draws batches; `<name>.train`, unless named.
      together: recipes whose runs must come from one data set; all of them, unless named.
      quick: flags of the verb that keep a registration short, where it registers.
      has_volumes: whether its cases are CT volumes, which have a page to scroll through.
      study: recipe of the smallest cross-validation; none where there is no such command, as in
        FEE, whose paper has one split, or where it is of all recipes and takes minutes, as in
        LNMet (tests/e2e/test_lnmet_study.py).
      study_of: words that name the paper whose study it is, where a package has several.
    """

    name: str
    verb: str
    write: Callable[[Path, int, int], None]
    write_pairs: Callable[[Path, int, int], None]
    rename: Callable[[Path, str], None]
    inputs: Callable[[Path], list[Path]]
    damage: Callable[[Path], Path]
    recipes: tuple[str, ...]
    few: tuple[str, ...]
    fold: tuple[str, ...]
    other: tuple[str, ...]
    choice: tuple[tuple[str, ...], dict[str, object]]
    counts: tuple[str, ...]
    uses_folds: bool
    arrays: tuple[str, ...]
    names_labels: bool
    same: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    training: str = ""
    upper: Mapping[str, Upper] = MappingProxyType({})
    quick: tuple[str, ...] = ()
    has_volumes: bool = True
    study: str | None = None
    study_of: tuple[str, ...] = ()

    def prepare(self, *words: object) -> int:
        """Exit status of preparing as the recipes want it."""
        return self("prepare", *words, *self.same)

    def __call__(self, *words: object) -> int:
        """Exit status of a call in this process."""
        program = import_module(f"{self.name}.cli")
        with _same_log_handlers():
            return cli.run(
                program.COMMANDS,
                prog=self.name,
                description="",
                recipes=program.RECIPES,
                args=[str(word) for word in words],
            )

    def train_words(self, name: str, runs: Path) -> tuple[object, ...]:
        """Flags of the training of a recipe, whose run stands beside those that it is built on."""
        if name not in self.upper:
            return (*self.few, *self.fold)
        upper = self.upper[name]
        flag, on = upper.on
        return (*upper.few, *self.fold, flag, runs / on)

    def training_of(self, name: str) -> str:
        """Module that draws the batches of a recipe."""
        own = self.upper[name].training if name in self.upper else self.training
        return own or f"{self.name}.train"

    def runs(self, folder: Path) -> list[object]:
        """Flags that name the runs of a folder."""
        return [word for name in self.recipes for word in ("--run", folder / name)]


@contextlib.contextmanager
def _same_log_handlers() -> Iterator[None]:
    """A command logs to the stderr of its test, which is closed when later tests log."""
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        yield
    finally:
        root.handlers[:] = before


def _rename_volumes(root: Path, prefix: str) -> None:
    for folder in ("imagesTr", "labelsTr"):
        for path in (root / folder).iterdir():
            path.rename(path.with_name(f"{prefix}{path.name}"))


def _write_panorama(root: Path, seed: int, num: int) -> None:
    """Two studies of each patient, told by their names alone: <patient>_<study>."""
    S4C.write(root, seed, 2 * num)
    for folder in ("imagesTr", "labelsTr"):
        for number, path in enumerate(sorted((root / folder).iterdir())):
            study = f"{100_000 + number // 2}_{number % 2 + 1:05d}"
            path.rename(path.with_name(path.name.replace(f"phantom_{number:03d}", study)))


def _write_pictures(root: Path, seed: int, num: int) -> None:
    """One picture of each patient, and no table: the ids of the pictures are all that is known."""
    write_image_cohort(
        root, num_patients=num, seed=seed, num_frames=1, shape=(44, 61), diameters_mm=(25.0, 46.0)
    )
    (root / "images.csv").unlink()


def _write_tabled_pictures(root: Path, seed: int, num: int) -> None:
    """Two pictures of each patient, told by the table beside them."""
    write_image_cohort(
        root, num_patients=num, seed=seed, num_frames=2, shape=(44, 61), diameters_mm=(25.0, 46.0)
    )


def _rename_pictures(root: Path, prefix: str) -> None:
    for path in [*root.glob("images/*"), *root.glob("masks/*")]:
        path.rename(path.with_name(f"{prefix}{path.name}"))


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:200])
    return path


def forge(run: Path, copy: Path, **division: object) -> Path:
    """A copy of a run that says it learned from others."""
    shutil.copytree(run, copy)
    record = json.loads((copy / "folds.json").read_text()) | division
    (copy / "folds.json").write_text(json.dumps(record))
    return copy


S4C = Commands(
    name="s4c",
    verb="screen",
    write=lambda root, seed, num: s4c.demo.write_phantoms(
        root, num_cases=num, seed=seed, spacing_mm=8.0
    ),
    write_pairs=_write_panorama,
    rename=_rename_volumes,
    inputs=lambda root: [root / "imagesTr"],
    damage=lambda root: _cut(min((root / "imagesTr").iterdir())),
    recipes=("tiny-16", "tiny-32"),
    few=(
        *("--run.steps", "2", "--run.log-every", "1", "--data.batch", "2", "--model.width", "2"),
        *("--infer.stride", "16", "--infer.batch", "1", "--split.num-folds", "2"),
    ),
    fold=("--fold", "0"),
    other=("--prepare.window-hu", "-50", "200"),
    choice=(("--decision.min-tumor-voxels", "7"), {"decision.min_tumor_voxels": 7}),
    counts=("num_abnormal", "num_normal"),
    uses_folds=True,
    arrays=("image", "label"),
    names_labels=True,
    study="tiny-16",
    study_of=("pdac",),
)

S4C_CLASSIFIER = S4C._replace(
    recipes=("tiny-16", "tiny-classifier"),
    choice=(("--classify.threshold", "0.25"), {"classify.threshold": 0.25}),
    upper={
        "tiny-classifier": Upper(
            on=("--coarse", "tiny-16"),
            few=(
                *("--run.steps", "2", "--run.log-every", "1", "--data.batch", "2"),
                *("--model.width", "2", "--model.groups", "1"),
            ),
            training="s4c.classifier.train",
        )
    },
    study=None,
)

EUSDAF = Commands(
    name="eusdaf",
    verb="segment",
    write=_write_pictures,
    write_pairs=_write_tabled_pictures,
    rename=_rename_pictures,
    inputs=lambda root: [root / "images"],
    damage=lambda root: _cut(min((root / "images").iterdir())),
    recipes=("unet",),
    few=(
        *("--run.steps", "2", "--run.epochs", "0", "--run.log-every", "1", "--data.batch", "2"),
        *("--model.width", "2", "--augment.elastic", "none", "--split.num-folds", "2"),
        *("--infer.batch", "1"),
    ),
    fold=("--fold", "0"),
    other=("--prepare.size", "64"),
    choice=(("--infer.threshold", "0.25"), {"infer.threshold": 0.25}),
    counts=("num_lesions", "num_normal"),
    uses_folds=False,
    has_volumes=False,
    arrays=("image", "mask"),
    names_labels=False,
    study="unet",
)

_AS_TINY = ("--screen.size", "0", "--prepare.size", "32")

FEE = Commands(
    name="fee",
    verb="diagnose",
    write=S4C.write,
    write_pairs=_write_panorama,
    rename=_rename_volumes,
    inputs=lambda root: sorted((root / "imagesTr").iterdir()),
    damage=S4C.damage,
    recipes=("tiny-locate", "tiny-segment", "tiny-diagnose"),
    few=(
        *("--run.steps", "2", "--run.epochs", "0", "--run.log-every", "1", "--data.batch", "2"),
        *("--model.width", "4", "--infer.batch", "2", *_AS_TINY),
    ),
    fold=("--split.parts", "2", "1", "1"),
    same=(*_AS_TINY, "--prepare.window-hu", "20", "160"),
    other=(*_AS_TINY, "--prepare.window-hu", "-50", "200"),
    choice=(("--infer.threshold", "0.25"), {"infer.threshold": 0.25}),
    counts=("num_patients",),
    uses_folds=False,
    arrays=("image", "mask"),
    names_labels=True,
)

_COARSE = ("--prepare.spacing-mm", "6", "6", "6")


def _write_two_phases(root: Path, seed: int, num: int) -> None:
    lnmet.demo.write_phantoms(root, num_cases=num, seed=seed, spacing_mm=6.0, tumor_fraction=0.5)


def _write_studies(root: Path, seed: int, num: int) -> None:
    """Two studies of each patient, told by their names alone: <patient>_<study>."""
    _write_two_phases(root, seed, 2 * num)
    for path in [*root.glob("imagesTr/*"), *root.glob("labelsTr/*")]:
        number = int(path.name[len("phantom_") :][:3])
        study = f"{100_000 + number // 2}_{number % 2 + 1:05d}"
        path.rename(path.with_name(path.name.replace(f"phantom_{number:03d}", study)))


LNMET = Commands(
    name="lnmet",
    verb="segment",
    write=_write_two_phases,
    write_pairs=_write_studies,
    rename=_rename_volumes,
    inputs=lambda root: [root / "imagesTr"],
    damage=S4C.damage,
    recipes=("tiny-organs", "tiny-nodes"),
    few=(
        *("--run.steps", "2", "--run.log-every", "1", "--data.batch", "2", "--augment.scheme"),
        *("none", "--data.patch", "16", "16", "16", "--model.features", "2", "2", "2", "2"),
        *("--infer.batch", "1", "--split.num-folds", "2", *_COARSE),
    ),
    fold=("--fold", "0"),
    same=_COARSE,
    other=("--prepare.spacing-mm", "7", "7", "7"),
    choice=(("--infer.threshold", "0.25"), {"infer.threshold": 0.25}),
    counts=("num_examinations",),
    uses_folds=True,
    arrays=("image", "label", "attention"),
    names_labels=True,
    # Organs may be learned from other data than nodes.
    together=("tiny-organs",),
    training="lnmet.segmentation_train",
    quick=("--registration.spacing-mm", "8"),
)

COMMANDS = {
    "fee": FEE,
    "s4c": S4C,
    "s4c-classifier": S4C_CLASSIFIER,
    "lnmet": LNMET,
    "eusdaf": EUSDAF,
}
