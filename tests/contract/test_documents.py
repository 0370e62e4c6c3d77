"""The questions of the pages for database owners are answered by the servers, too."""

import re
from pathlib import Path

import sqlalchemy as sa

from dropload.dock import Dock, open_dock
from dropload.identity import worker_name
from dropload.intake import drop_of_path
from dropload.journal import apply_scripts
from dropload.model import Area, LoadType, Verdict
from dropload.pipeline import process_drop
from tests.conftest import make_config
from tests.documents import DOCS, Block, blocks

OF_DATABASE = {"postgresql": "postgresql.md", "mssql": "sqlserver.md"}


def questions(page: str) -> list[Block]:
    return [
        block
        for block in blocks("sql")
        if block.page == DOCS / page and block.text.startswith("SELECT")
    ]


def ask(dock: Dock, question: str) -> list[tuple[object, ...]]:
    with dock.target.read() as conn:
        return [tuple(row) for row in conn.execute(sa.text(question.rstrip().rstrip(";")))]


def in_words_of_servers(question: str, dock: Dock) -> str:
    """Return a question with names as servers have them, as the page says that they are written."""
    schema = dock.target.schema_of(Area.NON_REFERENCE)
    return re.sub(r'"(\w+)\.(\w+)"', r"\1.\2", question.replace('"dbo.', f'"{schema}.'))


def load(dock: Dock, path: Path, area: Area, load_type: LoadType, text: str) -> None:
    path.write_text(text)
    drop = drop_of_path(path, dock.tree, area, load_type, force=False, requested_by="somebody")
    assert process_drop(dock, drop, worker_name()).verdict is Verdict.LOADED


def test_owners_get_answers_from_servers(server_url: str, tmp_path: Path) -> None:
    dock = open_dock(make_config(tmp_path, database={"url": server_url}))
    apply_scripts(dock.target)
    orders = "order_no,customer\n1001,Ada\n1003,Grace\n"
    load(dock, tmp_path / "orders.csv", Area.NON_REFERENCE, LoadType.APPEND, orders)
    load(dock, tmp_path / "airports.csv", Area.REFERENCE, LoadType.FULLLOAD, "id\n1\n")
    load(dock, tmp_path / "airports.csv", Area.REFERENCE, LoadType.FULLLOAD, "id\n2\n")
    common = [
        ask(dock, in_words_of_servers(block.text, dock))
        for block in questions("database-owners.md")
        if "sqlite_master" not in block.text
    ]
    assert len(common) == 7
    assert common[0][0][:2] == ("orders.csv", 2)
    assert common[3] == []
    assert "bkp.airports__3" in common[6][0]
    own = [ask(dock, block.text) for block in questions(OF_DATABASE[dock.target.name])]
    made = {str(cells[-1]) for cells in own[-1]}
    assert {"orders", "airports"} <= made
    dock.target.close()
