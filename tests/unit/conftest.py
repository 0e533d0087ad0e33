import shutil
from pathlib import Path

import pytest

from small_configuration import EXAMPLE, ROOT


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with a small configuration and the real schemas."""
    shutil.copytree(EXAMPLE, tmp_path / "config")
    (tmp_path / "config" / "schemas").symlink_to(ROOT / "config" / "schemas")
    return tmp_path
