"""How far a long piece of work is, how fast it goes and how long it still takes: one line now and then, on standard error."""

import sys
import time


class Progress:
    """Counts work units of known total and prints at most one line per ``interval`` seconds.

    ``done`` at the start is what was finished earlier: it counts as progress but not towards the speed.
    """

    def __init__(self, title: str, total: float, unit: str, *, done: float = 0, interval: float = 10.0) -> None:
        self.title, self.total, self.unit, self.interval = title, total, unit, interval
        self.done = self._before = done
        self._start = self._last = time.monotonic()

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count ``amount`` more units; ``note`` (such as the current loss) is shown if a line is due."""
        self.done += amount
        now = time.monotonic()
        if now - self._last >= self.interval:
            self._last = now
            self._print(now, note)

    def skip(self, amount: float) -> None:
        """Count ``amount`` units as done without work (taken up from earlier, or not needed): they say nothing of the speed."""
        self.done += amount
        self._before += amount

    def _print(self, now: float, note: str) -> None:
        elapsed = now - self._start
        speed = (self.done - self._before) / elapsed
        left = f", {duration((self.total - self.done) / speed)} left at most" if speed > 0 else ""
        text = f"{self.title}: {min(self.done / self.total, 1):.0%}, {speed:,.0f} {self.unit}/s{left}{'; ' + note if note else ''}"
        print(text, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds in words: ``8 s``, ``3 min 20 s``, ``5 h 10 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
