"""Progress lines: how far, how fast, how long."""

import pytest

from lazyrich import progress
from lazyrich.progress import Progress, duration


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_at_most_one_line_an_interval(clock, capsys):
    counted = Progress("train x", 100, "steps", interval=10)
    for _ in range(50):
        clock.now += 1
        counted.advance(1, "loss 0.1")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert lines[0] == "train x: 10%, 1 steps/s, 1 min 30 s left at most; loss 0.1"


def test_work_done_earlier_or_skipped_counts_as_progress_but_not_as_speed(clock, capsys):
    counted = Progress("t", 1000, "steps", done=500, interval=10)
    counted.skip(300)
    clock.now += 10
    counted.advance(20)
    assert capsys.readouterr().err == "t: 82%, 2 steps/s, 1 min 30 s left at most\n"


def test_nothing_done_yet_promises_nothing(clock, capsys):
    counted = Progress("t", 10, "tiles", interval=10)
    clock.now += 20
    counted.advance(0)
    assert capsys.readouterr().err == "t: 0%, 0 tiles/s\n"


def test_never_more_than_all(clock, capsys):
    counted = Progress("t", 10, "tiles", interval=1)
    clock.now += 2
    counted.advance(11)
    assert capsys.readouterr().err == "t: 100%, 6 tiles/s, 0 s left at most\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (18_600, "5 h 10 min"), (-3, "0 s")],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
