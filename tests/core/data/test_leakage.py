"""Cases of one image, and patients of several data sets, are found and kept together."""

from pathlib import Path

from core.data.index import Contents, Entry, cases_of, read_index, write_index
from core.data.leakage import in_several, joined_patients, same_images


def test_equal_images_are_grouped_and_unknown_ones_are_not():
    digests = {"d": "1", "a": "1", "b": "2", "c": "", "e": "", "f": "2", "g": "3"}
    assert same_images(digests) == [("a", "d"), ("b", "f")]


def test_patients_of_one_image_are_one_over_several_steps():
    patients = {"a": "p", "b": "q", "c": "q", "d": "r", "e": "s", "f": "t"}
    joined = joined_patients(patients, [("c", "d"), ("a", "b"), ("e", "e")])
    assert joined == {"a": "p", "b": "p", "c": "p", "d": "p", "e": "s", "f": "t"}


def test_the_name_does_not_depend_on_the_order_of_the_groups():
    patients = dict(zip("abcd", ("z", "y", "x", "w"), strict=True))
    groups = [("a", "b"), ("b", "c"), ("c", "d")]
    assert set(joined_patients(patients, groups).values()) == {"w"}
    assert joined_patients(patients, groups[::-1]) == joined_patients(patients, groups)


def test_patients_of_several_data_sets_are_found():
    assert in_several({"one": ["p", "p", "q"], "two": ["q", "r"], "three": ["q"]}) == {
        "q": ["one", "two", "three"]
    }


def test_an_index_lists_what_it_found_and_keeps_what_the_data_sets_tell(tmp_path):
    def entry(patient, digest):
        return Entry((), patient, {}, (), digest)

    one = Contents({"a": entry("p", "1"), "b": entry("q", "2")})
    two = Contents({"c": entry("r", "1"), "d": entry("q", "3")}, provenance={"label_commit": "0f"})
    write_index(tmp_path, {Path("/one"): one, Path("/two"): two})
    index = read_index(tmp_path)
    assert index == {Path("/one"): one, Path("/two"): two}
    patients = {id_: entry.patient for id_, entry in cases_of(index).items()}
    assert patients == {"a": "p", "b": "q", "c": "p", "d": "q"}
    text = (tmp_path / "index.json").read_text()
    assert '"same_image"' in text
    assert '"same_patient"' in text
