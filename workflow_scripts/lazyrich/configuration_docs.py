"""Write ``docs/configuration.md`` from the schemas: ``python -m lazyrich.configuration_docs [--fix]``.

Without ``--fix`` nothing is written; the exit status is 1, with the difference printed, if the file is not what the
schemas say.
"""

import argparse
import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from lazyrich.configuration_schema import Schemas, allowed, branches

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path("docs", "configuration.md")

INTRODUCTION = """\
# Configuration

<!-- Generated from config/schemas by `python -m lazyrich.configuration_docs --fix`; edit the schemas instead. -->

What is measured, how large, and with which bounds a published result counts as reproduced: all of it stands in
`config/`, and nothing in code. The configuration is validated as a whole before any job starts. A mistake ends in a
message like

```
config/experiments/goring2025.yaml:31: experiments.staircase_gap.training.optimzer: unknown key 'optimzer'; did you mean
'optimizer'? Allowed: batch_size, check_every, ...
```

which names the file and line that set the key last, the key, its value, what is allowed and the nearest spelling.

## Layers

Five layers lie on top of each other, and later ones win:

1. `config/config.yaml`: the [globals](#globals).
2. `config/datasets.yaml`: every [dataset](#datasets), under `datasets:`.
3. `config/experiments/<paper>.yaml`: the [head](#papers) of each paper and, under `experiments:`, its
   [experiments](#experiments).
4. `config/scales/<scale>.yaml`: the overlay of the chosen scale (`smoke`, `reduced` or `full`).
5. The command line: `snakemake --config scale=smoke`, or an overlay of your own with `--configfile mine.yaml`.

Mappings merge key by key; a list or a single value replaces what lies below. A key given as `null` in a later layer is
removed if an earlier layer has it, and then has its default again. So an overlay states only what it changes:

```yaml
experiments:
  staircase_gap:
    seeds: 2
    sweep:
      members:
        train_size: {training.train_size: [128, 1024]}   # a list replaces the whole list
    figures:
      learning_curves: null                              # drawn at other scales only
datasets:
  staircase: {test: 512}
```

An overlay can add a dataset by giving its `generator`, and an experiment by giving its `paper`. Any other name that no
earlier layer has is taken for a misspelling.

Numbers can be written as `0.001` or `1e-3`, and `10.0` means `10` where an integer is needed. A key that stands twice
in one mapping is an error.
"""


def render(schemas: Schemas) -> str:
    """The whole page."""
    experiment = schemas["experiment"]["properties"]
    axes, metrics = schemas["axes"], schemas["metrics"]
    sections = [
        INTRODUCTION,
        _section(2, "Globals", schemas["globals"]),
        _section(2, "Datasets", schemas["dataset"]),
        *(_section(3, f"`{key}: {choice}`", added) for key, choice, added in branches(schemas["dataset"])),
        _section(2, "Papers", schemas["paper"]),
        _section(2, "Experiments", schemas["experiment"]),
        _section(2, "Model", schemas["model"]),
        _section(2, "Training", schemas["training"]),
        _section(2, "Sweep", experiment["sweep"]),
        f"{axes['description']} Every point must be possible: each value is checked in its place.\n",
        *(
            _section(2, title, experiment[key]["additionalProperties"])
            for title, key in (("Kernels", "kernels"), ("Spectra", "spectra"))
        ),
        _section(2, "Metrics", {**metrics, "properties": {}}),
        *(_section(3, f"`{name}`", part) for name, part in metrics["properties"].items()),
        _section(2, "Figures", experiment["figures"]["additionalProperties"]),
        _section(2, "Claims", schemas["claims"]),
    ]
    return "\n".join(sections)


def _section(level: int, title: str, schema: Mapping) -> str:
    rows = list(_rows(schema, ""))
    head = ["| key | allowed | default | unit | meaning |", "|---|---|---|---|---|"] if rows else []
    lines = [f"{'#' * level} {title}", "", schema["description"], *([""] if rows else []), *head, *rows]
    return "\n".join(lines) + "\n"


def _rows(schema: Mapping, prefix: str) -> Iterator[str]:
    required = schema.get("required", ())
    for key, part in schema.get("properties", {}).items():
        unit = "" if part["x-unit"] == "none" else part["x-unit"]
        # The keys of a mapping have rows or a section of their own.
        values = allowed({**part, "properties": {}})
        cells = (f"`{prefix}{key}`", values, _default(part, key in required), unit, part["description"])
        yield "| " + " | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in cells) + " |"
        # A part with a file of its own has a section of its own.
        if "title" not in part:
            yield from _rows(part, f"{prefix}{key}.")


def _default(schema: Mapping, required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(schema['default'])}`".replace('"', "") if "default" in schema else schema["x-absent"]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Compare the page with the schemas, or rewrite it with ``--fix``; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lazyrich.configuration_docs", description="docs/configuration.md from config/schemas"
    )
    parser.add_argument("--fix", action="store_true", help="rewrite the page instead of comparing")
    options = parser.parse_args(arguments)
    page, text = root / PAGE, render(Schemas(root / "config" / "schemas"))
    there = page.read_text(encoding="utf-8") if page.exists() else ""
    if there == text:
        return 0
    if options.fix:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE}")
        return 0
    difference = difflib.unified_diff(there.splitlines(), text.splitlines(), str(PAGE), "config/schemas", lineterm="")
    print("\n".join(difference))
    command = "PYTHONPATH=workflow_scripts python -m lazyrich.configuration_docs --fix"
    print(f"{PAGE} is not what config/schemas says; run: {command}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
