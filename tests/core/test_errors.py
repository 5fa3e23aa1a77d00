from pathlib import Path

from core.errors import InputError


def test_one_line_says_which_file_what_and_what_to_do():
    error = InputError("the file is empty", path=Path("a") / "b.nii", hint="fetch it again")
    assert str(error) == f"{Path('a') / 'b.nii'}: the file is empty; fetch it again"
    assert (error.message, error.hint) == ("the file is empty", "fetch it again")


def test_path_and_hint_are_optional():
    assert str(InputError("no CT volume")) == "no CT volume"


def test_the_broken_message_of_a_library_stands_in_one_line():
    assert str(InputError("not readable (no id,\nand none given)")).count("\n") == 0
