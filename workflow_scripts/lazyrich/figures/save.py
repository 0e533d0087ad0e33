"""Write a figure and the numbers it plots, so that equal content gives equal bytes."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from lazyrich.figures import style

DOTS_PER_INCH = 150


def save(figure: Figure, numbers: pd.DataFrame, stem: Path) -> tuple[Path, Path, Path]:
    """Write ``<stem>.pdf``, ``<stem>.png`` (150 dots per inch) and ``<stem>.csv`` and return their paths.

    No file holds a date or a version of the software: a rerun with the same numbers writes the same bytes, and
    nothing downstream needs to be made again.
    """
    # not `with_suffix`, which would cut a name like `scale-0.3` short
    pdf, png, table = (stem.parent / f"{stem.name}.{kind}" for kind in ("pdf", "png", "csv"))
    stem.parent.mkdir(parents=True, exist_ok=True)
    with style.context():  # ticks are made while saving
        figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
        figure.savefig(png, dpi=DOTS_PER_INCH, metadata={"Software": None})
    numbers.to_csv(table, index=False, float_format="%.10g", lineterminator="\n")
    return pdf, png, table
