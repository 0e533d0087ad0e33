"""What is wrong with a configuration, said so that the reader can mend it: where, which key, what is allowed."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

#: A place in the configuration: mapping keys and list positions from the root.
KeyPath = tuple[str | int, ...]

SHOWN = 10


@dataclass(frozen=True)
class Source:
    """Where a value was written: a file relative to the repository with a line counted from 1, or the command line."""

    name: str
    line: int | None = None

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True)
class Problem:
    """One mistake: its source, the path of the key, and what is wrong with it and allowed instead."""

    source: Source
    path: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{self.source}: {dotted(self.path)}: {self.text}" if self.path else f"{self.source}: {self.text}"


class ConfigurationError(ValueError):
    """Raised once, with every mistake found; the message shows the first ten."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__(self._message())

    def _message(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [
            f"the configuration has {len(self.problems)} mistakes:",
            *(f"  {problem}" for problem in self.problems[:SHOWN]),
        ]
        if len(self.problems) > SHOWN:
            lines.append(f"  ... and {len(self.problems) - SHOWN} more")
        return "\n".join(lines)


def dotted(path: KeyPath) -> str:
    """``experiments.staircase_gap.model.width``; list positions in brackets. The head of a paper's file stands at its
    top."""
    shown = path[2:] if path[:1] == ("papers",) and len(path) > 2 else path
    text = ""
    for part in shown:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = f"'{part}'" if "." in part else part
            text += f".{quoted}" if text else quoted
    return text


def show(value: object) -> str:
    """A value as it would be written in YAML, shortened to one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {show(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(item) for item in value) + "]"
    else:
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def close_match(word: object, words: Collection[str]) -> list[str]:
    """The word of ``words`` nearest to ``word``, alone in a list, or an empty list if none is near."""
    near = difflib.get_close_matches(str(word), words, n=1)
    # `max_steps` for `training.max_steps`: a dotted key whose last part alone was given.
    return near or [key for key in words if "." in key and key.rpartition(".")[2] == str(word).rpartition(".")[2]][:1]


def nearest(word: object, words: Collection[str]) -> str:
    """``; did you mean 'optimizer'?``, or nothing if no word is near."""
    near = close_match(word, words)
    return f"; did you mean {near[0]!r}?" if near else ""


def unknown(kind: str, word: object, words: Collection[str]) -> str:
    """``unknown key 'optimzer'; did you mean 'optimizer'? Allowed: batch_size, ...``"""
    near = nearest(word, words)
    allowed = ", ".join(sorted(words)) or "none"
    return f"unknown {kind} {show(word)}{near}{'' if near else '.'} Allowed: {allowed}"
