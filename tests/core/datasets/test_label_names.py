"""What a user says that label names mean, and how a cache remembers it."""

from pathlib import Path

import pytest

from core.datasets.label_names import LabelNames, ids_of_names, parse_labels, require_named
from core.errors import InputError
from tests.refusals import refused

MEANINGS = {"background": 0, "pancreas": 1, "tumor": 2, "ignore": 255}
PATH = Path("data/dataset.json")


def ids(names, words=None):
    labels = LabelNames(words or {})
    return ids_of_names(names, MEANINGS, labels, path=PATH, meanings=MEANINGS)


def test_names_and_meanings_are_read_whatever_their_form():
    labels = parse_labels(" PDAC_Lesion = Tumor,*=background", MEANINGS, meanings=MEANINGS)
    assert labels.words == {"pdac lesion": "tumor", "*": "background"}
    for nothing in (None, ""):
        assert parse_labels(nothing, MEANINGS, meanings=MEANINGS) == LabelNames()


@pytest.mark.parametrize("text", ["lesion", "=tumor", "lesion=", "lesion=tumor,"])
def test_what_is_no_pair_is_refused(text):
    with refused(None, "--labels has", hint="write name=meaning"):
        parse_labels(text, MEANINGS, meanings=MEANINGS)


def test_a_meaning_that_is_not_known_is_refused_with_those_that_are():
    with refused(None, "'lesion=tumr'", "'tumr' is no meaning", hint="background, pancreas, tumor"):
        parse_labels("lesion=tumr", MEANINGS, meanings=MEANINGS)


def test_two_meanings_of_a_name_are_refused():
    with refused(None, "'tumor' and 'ignore' of 'a b'"):
        parse_labels("a_b=tumor,A-b=ignore", MEANINGS, meanings=MEANINGS)
    parse_labels("a_b=tumor,a_b=tumor", MEANINGS, meanings=MEANINGS)


def test_the_user_is_heard_before_what_is_known_and_the_star_after():
    words = {"gland": "pancreas", "tumor": "ignore", "*": "background"}
    assert ids(["background", "pancreas", "Tumor", "gland", "liver"], words) == {
        "background": 0,
        "pancreas": 1,
        "Tumor": 255,
        "gland": 1,
        "liver": 0,
    }


def test_a_name_of_which_nothing_is_known_is_refused_with_a_way_out():
    hint = "--labels 'liver=background|pancreas|tumor|ignore,*=background'"
    with refused(PATH, "'liver', 'spleen'", hint=hint):
        ids(["pancreas", "liver", "spleen"])
    assert ids_of_names(["a"], MEANINGS, LabelNames(), path=PATH, meanings=(), others=7) == {"a": 7}


def test_a_name_that_no_data_set_has_is_refused_with_those_there_are():
    require_named(LabelNames({"a b": "tumor", "*": "background"}), ["A_b", "c"], PATH)
    with refused(PATH, "'d', 'e'", "no data set has", hint="there are 'a b', 'c'"):
        require_named(LabelNames({"d": "tumor", "e": "tumor"}), ["A_b", "c"], PATH)


RECORDED = [{"lesion": "tumor"}, {"liver": "background"}]


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ({"lesion": "tumor", "liver": "background"}, True),
        ({"lesion": "tumor", "*": "background"}, True),
        ({"lesion": "pancreas", "*": "background"}, False),
        ({"lesion": "tumor"}, False),
        ({"lesion": "tumor", "*": "background", "duct": "tumor"}, False),
        ({}, False),
    ],
)
def test_a_cache_is_made_by_the_words_that_would_make_it(words, made):
    assert LabelNames(words).made(RECORDED) is made
    assert LabelNames().made([{}, {}])


def test_only_what_decides_is_recorded():
    labels = LabelNames({"lesion": "tumor", "gland": "pancreas", "*": "background"})
    said = labels.said_of(["Lesion", "pancreas", "liver"], MEANINGS)
    assert said == {"lesion": "tumor", "liver": "background"}


def test_a_name_with_a_line_break_is_refused_in_one_line():
    with pytest.raises(InputError) as refusal:
        ids(["pancreas", "a\nb"])
    assert "\n" not in str(refusal.value)
