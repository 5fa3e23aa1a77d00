import logging

from core.io import progress
from core.io.progress import Progress


def test_a_line_every_few_seconds_tells_rate_and_time_left(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    clock = iter([0.0, 4.0, 6.0, 8.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress("reading headers", unit="files", total=12000) as bar:
        for _ in range(3):
            bar.add(1000)
        bar.add(9000)
    assert caplog.messages == [
        "reading headers  2,000/12,000 files  333 files/s  00:30 left",  # 10,000 at 2000 in 6 s
        "reading headers  12,000/12,000 files  120 files/s  00:00 left",
    ]


def test_what_takes_longer_than_a_second_is_told_in_seconds_each(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    clock = iter([0.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Progress("preparing", unit="cases", total=6) as bar:
        bar.add(2)
    assert caplog.messages == ["preparing  2/6 cases  20 s each  01:20 left"]


def test_a_terminal_has_a_bar(monkeypatch, capsys, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("reading headers", unit="files", total=10) as bar:
        bar.add(10)
    assert "10/10" in capsys.readouterr().err
    assert caplog.messages == []
