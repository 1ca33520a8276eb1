from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from domicile.store.values import Author, Draft
assert "sqlalchemy" not in sys.modules, "the values alone need no database"
from domicile.store.store import Store
Store.open(sys.argv[1]).close()
print("alembic" in sys.modules, "lxml" in sys.modules, "asyncio" in sys.modules)
"""


def test_alembic_is_imported_only_for_a_new_database(tmp_path):
    def loaded() -> str:
        command = [sys.executable, "-c", CODE, f"sqlite:///{tmp_path}/x.db"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    assert loaded().startswith("True")
    assert loaded().startswith("False")
