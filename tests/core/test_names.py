"""Names of any bytes, in any form."""

import json
import os

import pytest

from core.names import escaped, normal

MAC, TYPED = "Jose\u0301", "Jos\u00e9"


def test_accents_that_a_mac_took_apart_make_no_other_name():
    assert MAC != TYPED
    assert normal(MAC) == normal(TYPED) == TYPED


@pytest.mark.parametrize("name", ["scan_0000", "患者 (2)", "größe", "a\\b"])
def test_a_name_of_valid_text_is_written_as_it_is(name):
    assert escaped(name) == name


@pytest.mark.parametrize("encoding", ["gbk", "shift-jis", "utf-16-le"])
def test_a_name_of_other_bytes_is_written_escaped_and_json_gives_it_back(encoding):
    name = os.fsdecode("報告.txt".encode(encoding, "replace"))
    assert escaped(name).encode().decode() == escaped(name)
    assert json.loads(escaped(json.dumps(name, ensure_ascii=False))) == name
