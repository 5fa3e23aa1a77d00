"""What is fuzzed: files that a reader takes, how they are changed, and what is done with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from core.datasets.images import read_case, read_images
from core.datasets.pancreas_cases import read_pancreas
from core.errors import InputError
from core.infer.load import load_runs
from core.io.dicom.header import NotUsedError, read_frames
from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from core.io.images import find_images
from core.io.images import read_frames as read_pictures
from core.io.inventory import find_scans
from core.io.nifti import read_label
from core.io.scans import read_scan
from core.json_io import read_json
from core.nn import torch_weights
from core.nnunet.unpickle import read_pickle
from fee.config import Config
from tests.fuzz import originals
from tests.fuzz.mutations import changed_bytes, changed_document, changed_elements


class Target(NamedTuple):
    """A kind of file.

    Args:
      make: (folder) → writes the originals, once.
      change: (draw, originals, work) → writes a damaged input into an empty folder.
      consume: (work) → reads all of it, as a command would.
    """

    make: Callable[[Path], object]
    change: Callable[[st.DrawFn, Path, Path], object]
    consume: Callable[[Path], object]


def _change_one(draw: st.DrawFn, source: Path, work: Path) -> None:
    """Copy all originals, and change bytes of one."""
    shutil.copytree(source, work, dirs_exist_ok=True)
    path = draw(st.sampled_from(sorted(p for p in work.rglob("*") if p.is_file())))
    path.write_bytes(draw(changed_bytes(path.read_bytes())))


def _change_alone(draw: st.DrawFn, source: Path, work: Path) -> None:
    """One original, changed."""
    path = draw(st.sampled_from(sorted(source.iterdir())))
    (work / path.name).write_bytes(draw(changed_bytes(path.read_bytes())))


def _read_scans(work: Path) -> None:
    scans, _ = find_scans(work)
    for scan in scans:
        read_scan(scan)


def _change_slice(draw: st.DrawFn, source: Path, work: Path) -> None:
    shutil.copytree(source, work, dirs_exist_ok=True)
    path = draw(st.sampled_from(sorted(work.iterdir())))
    if draw(st.booleans()):
        path.write_bytes(draw(changed_bytes(path.read_bytes(), most=1200)))
    else:
        draw(changed_elements(path, path))


def _read_pixels(work: Path) -> None:
    (path,) = work.iterdir()
    try:
        with quiet():
            frames = read_frames(path)
        read_hu(frames)
    except (InputError, NotUsedError):  # CT is no picture, and a picture no CT
        _read_pictures(work)


def _read_pictures(work: Path) -> None:
    sources, _ = find_images(work)
    for source in sources:
        for _ in read_pictures(source):
            pass


def _read_volume(work: Path) -> None:
    (path,) = work.iterdir()
    for read in (read_label, _read_scans):
        try:
            read(path)
        except InputError:
            continue


def _read_annotated_pictures(work: Path) -> None:
    for case in read_images(work).cases:
        try:
            read_case(case)
        except InputError:
            continue


def _change_documents(draw: st.DrawFn, source: Path, work: Path) -> None:
    shutil.copytree(source, work, dirs_exist_ok=True)
    path = work / draw(st.sampled_from(("dataset.json", "splits_final.json")))
    if draw(st.integers(0, 3)) == 0:
        path.write_bytes(draw(changed_bytes(path.read_bytes())))
    else:
        path.write_text(json.dumps(draw(changed_document(json.loads(path.read_text())))))


def _read_dataset(work: Path) -> None:
    for case in read_pancreas(work).cases:
        case.read()


def _read_run(work: Path) -> None:
    for run in load_runs(Config, [work], allow_unfinished=True):
        run.weights()


def _read_weights(work: Path) -> None:
    (path,) = work.iterdir()
    readers = {".safetensors": torch_weights.read, ".pkl": read_pickle, ".json": read_json}
    readers[path.suffix](path)


TARGETS = {
    "dicom-header": Target(originals.make_series, _change_slice, _read_scans),
    "dicom-pixels": Target(originals.make_compressed, _change_alone, _read_pixels),
    "volumes": Target(originals.make_volumes, _change_alone, _read_volume),
    "pictures": Target(originals.make_pictures, _change_one, _read_annotated_pictures),
    "dataset-json": Target(originals.make_dataset, _change_documents, _read_dataset),
    "archive": Target(originals.make_archive, _change_one, _read_scans),
    "run": Target(originals.make_run, _change_one, _read_run),
    "weights": Target(originals.make_weights, _change_alone, _read_weights),
}
