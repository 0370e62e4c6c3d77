"""What a user can do who has the rights of grant_permissions.sql and no more."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from dropload.dock import Dock, open_dock
from dropload.errors import TargetError
from dropload.journal import apply_scripts, pending_scripts
from dropload.journal.migrations import scripts_of
from dropload.model import Area, TableName, Verdict
from dropload.resources import resource_folder
from dropload.status import read_status
from dropload.targets import open_target
from dropload.targets.base import Target
from dropload.targets.server import ServerTarget
from tests.conftest import (
    drop_database,
    drop_sqlserver_database,
    make_config,
    make_database,
    make_sqlserver_database,
    run_on_sqlserver,
)
from tests.contract.test_loading import ORDERS, Site


@dataclass
class Grounds:
    """A database whose owner has prepared it for a user of few rights."""

    owner: ServerTarget
    user: str
    dock: Dock
    has_all_rights: bool
    """Whether this server knows every statement of the script."""

    @property
    def site(self) -> Site:
        return Site(self.dock)

    @property
    def schema(self) -> str:
        return self.dock.target.schema_of(Area.NON_REFERENCE)

    def table(self, name: str) -> TableName:
        return TableName(self.schema, name)

    def run_as_owner(self, *statements: str) -> None:
        run_alone(self.owner, *statements)

    def grant(self) -> None:
        """Run the script with this user's name and schema in the place of those written there."""
        script = resource_folder("sql") / self.owner.name / "grant_permissions.sql"
        text = script.read_text(encoding="utf-8").replace("ingest_user", self.user)
        text = text.replace(f"SCHEMA::{self.owner.default_schema}", f"SCHEMA::{self.schema}")
        batches = self.owner.split_batches(text)
        if self.has_all_rights:
            self.run_as_owner(*batches)
            return
        role = f"ALTER ROLE r{self.user}"
        rights_on_rows = [batch for batch in batches if _is_about_rows(batch)]
        self.run_as_owner(f"{role} DROP MEMBER {self.user}")
        self.run_as_owner(*rights_on_rows, f"{role} ADD MEMBER {self.user}")

    def revoke(self, schema: str) -> None:
        """Take every right on a schema away again."""
        if self.owner.name == "postgresql":
            self.run_as_owner(f"REVOKE ALL ON SCHEMA {schema} FROM {self.user}, PUBLIC")
            return
        rights = "ALTER, SELECT, INSERT, UPDATE, DELETE"
        self.run_as_owner(f"REVOKE {rights} ON SCHEMA::{schema} FROM {self.user}")


def run_alone(target: Target, *statements: str) -> None:
    """Run statements, each in a transaction of its own, as an administrator's tool does it."""
    with target.engine.connect() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)
            conn.commit()


def _is_about_rows(batch: str) -> bool:
    [statement] = [line for line in batch.splitlines() if line.startswith("GRANT")]
    return statement.startswith("GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::")


def open_as(url: str, user: str, password: str, root: Path, schema: str) -> Dock:
    own = sa.make_url(url).set(username=user, password=password)
    text = own.render_as_string(hide_password=False)
    dock = open_dock(make_config(root, database={"url": text}, schemas={"non_reference": schema}))
    dock.tree.create()
    return dock


def open_owner(url: str, root: Path) -> ServerTarget:
    owner = open_target(make_config(root, database={"url": url}))
    assert isinstance(owner, ServerTarget)
    return owner


def run_journal_script(owner: ServerTarget) -> None:
    """Make the journal as an owner does it by hand."""
    for _, path in scripts_of(owner):
        with owner.write() as conn:
            owner.run_script(conn, path.read_text(encoding="utf-8"))


def postgresql_grounds(url: str, root: Path) -> Grounds:
    owner, user = open_owner(url, root), f"u{uuid.uuid4().hex}"
    run_alone(owner, f"CREATE ROLE {user} LOGIN PASSWORD 'Aa1-{user}'")
    run_journal_script(owner)
    return Grounds(owner, user, open_as(url, user, f"Aa1-{user}", root, "public"), True)


def sqlserver_grounds(url: str, root: Path) -> Grounds:
    owner, user = open_owner(url, root), f"u{uuid.uuid4().hex}"
    password = f"Aa1-{user}"
    run_on_sqlserver(f"CREATE LOGIN {user} WITH PASSWORD = '{password}'")
    run_alone(owner, f"CREATE USER {user} FOR LOGIN {user}")
    has_all_rights = knows_every_right(owner, user)
    if not has_all_rights:
        # Who owns a schema has ALTER on it, so that the rest of the script is tried at least; a
        # role owns it, because rights cannot be granted to an owner.
        run_alone(owner, f"CREATE ROLE r{user}", f"ALTER ROLE r{user} ADD MEMBER {user}")
        for schema in ("ref", "bkp", "stg", "own"):
            run_alone(owner, f"CREATE SCHEMA {schema} AUTHORIZATION r{user}")
    run_journal_script(owner)
    schema = "dbo" if has_all_rights else "own"
    return Grounds(owner, user, open_as(url, user, password, root, schema), has_all_rights)


def knows_every_right(owner: Target, user: str) -> bool:
    """Return whether the server takes a right other than those on rows, as SQL Server does."""
    try:
        run_alone(owner, f"GRANT CREATE TABLE TO {user}")
    except sa.exc.DBAPIError as exc:
        if "not currently supported" not in str(exc):
            raise
        return False
    run_alone(owner, f"REVOKE CREATE TABLE FROM {user}")
    return True


@pytest.fixture(scope="module", params=["postgresql", "sqlserver"])
def grounds(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Grounds]:
    """Prepare one database for all tests here: some servers take seconds for each grant."""
    root = tmp_path_factory.mktemp("permissions")
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        url = make_database(server)
        made = postgresql_grounds(url, root)
    else:
        url = make_sqlserver_database()
        made = sqlserver_grounds(url, root)
    made.grant()
    yield made
    made.dock.target.close()
    made.owner.close()
    if request.param == "postgresql":
        drop_database(server, url)
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {made.user}".encode())
        return
    import pyodbc

    drop_sqlserver_database(url)
    with contextlib.suppress(pyodbc.Error):  # the bulk driver's pool may still be logged in
        run_on_sqlserver(f"DROP LOGIN {made.user}")


def test_the_script_runs_twice_and_leaves_nothing_for_init_to_run(grounds: Grounds) -> None:
    grounds.grant()
    assert pending_scripts(grounds.dock.target) == []
    assert apply_scripts(grounds.dock.target) == []


def test_tables_are_made_filled_replaced_and_changed(grounds: Grounds) -> None:
    site = grounds.site
    ids = []
    for content, load_type in [
        (ORDERS, "append"),
        (ORDERS.replace("10.50", "11.50"), "append"),
        (ORDERS.replace("10.50", "12.50") + "3,Eve,1.00,2026-01-04,true\n", "fullload"),
        (ORDERS.replace("10.50", "n/a"), "append"),
        (ORDERS.replace("paid", "paid,new").replace("true", "perhaps,1"), "append"),
    ]:
        loaded = site.drop("orders.csv", content.replace("false\n", "false,\n"), load_type)
        assert loaded.verdict is Verdict.LOADED, loaded
        ids.append(loaded.load_id)
    assert len(site.texts(grounds.table("orders"))) == 7
    assert ids[2] is not None
    assert site.exists(grounds.dock.target.backup_name(grounds.table("orders"), ids[2]))


def test_old_backups_are_dropped(grounds: Grounds) -> None:
    target, airports = grounds.dock.target, TableName("ref", "airports")
    backups = []
    for n in range(5):
        content = f"iata,size\nOSL,{n}\n"
        loaded = grounds.site.drop("airports.csv", content, "fullload", "reference")
        assert loaded.verdict is Verdict.LOADED, loaded
        assert loaded.load_id is not None
        backups.append(target.backup_name(airports, loaded.load_id))
    assert [grounds.site.exists(backup) for backup in backups] == [False, False, True, True, True]


def test_a_table_that_somebody_else_owns_is_replaced_with_its_numbers(grounds: Grounds) -> None:
    customers = grounds.owner.quoted(grounds.table("customers"))
    numbered = {
        "postgresql": "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "mssql": "bigint IDENTITY(1,1) PRIMARY KEY",
    }[grounds.owner.name]
    old = "(name) VALUES ('old')"
    if not grounds.has_all_rights:
        # This server's numbers take a right of their own.
        numbered, old = "bigint PRIMARY KEY", "(id, name) VALUES (1, 'old')"
    grounds.run_as_owner(
        f"CREATE TABLE {customers} (id {numbered}, name varchar(50), kind varchar(9) DEFAULT 'x' "
        "NOT NULL)",
        f"INSERT INTO {customers} {old}",
    )
    rows = "id,name,kind\n70,Ada,a\n71,Bob,b\n"
    replaced = grounds.site.drop("customers.csv", rows, "fullload")
    assert replaced.verdict is Verdict.LOADED, replaced
    assert grounds.site.texts(grounds.table("customers")) == [
        ("70", "Ada", "a"),
        ("71", "Bob", "b"),
    ]


def test_the_state_of_things_can_be_read(grounds: Grounds) -> None:
    grounds.site.drop("states.csv", ORDERS)
    grounds.site.drop("states.csv", ORDERS + "3,only\n")
    status = read_status(grounds.dock)
    assert status.database_problem == ""
    assert [load.state for load in status.last][:2] == ["failed", "filed"]
    assert grounds.dock.target.describe()


@pytest.mark.parametrize(
    ("place", "small"),
    [("stage", 0), ("backup", 0), ("backup", 1 << 16), ("rows", 0), ("rows", 1 << 16)],
)
def test_a_missing_right_pauses_the_table_and_says_which(
    grounds: Grounds, place: str, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 6: the file stays where it is, and loads when the owner has granted the right."""
    if not grounds.has_all_rights:
        pytest.skip("this server can only grant rights on rows")
    monkeypatch.setattr("dropload.small_files.SMALL_BYTES", small)
    schema = {"stage": "stg", "backup": "bkp", "rows": grounds.schema}[place]
    name, rows = f"{place}{small}_without_right.csv", "id,name\n1,a\n"
    if place == "backup":
        assert grounds.site.drop(name, rows).verdict is Verdict.LOADED
    grounds.revoke(schema)
    try:
        paused = grounds.site.drop(name, rows.replace(",a", ",b"), "fullload")
    finally:
        grounds.grant()
    assert (paused.verdict, paused.category) == (Verdict.PAUSED, "target"), paused
    assert schema in paused.message
    assert "grant_permissions.sql" in paused.hint
    assert paused.path.exists()
    again = grounds.site.drop(name, rows.replace(",a", ",b"), "fullload")
    assert again.verdict is Verdict.LOADED, again


def dock_in(grounds: Grounds, root: Path, schema: str) -> Dock:
    """Return a dock of the same user whose tables go to another schema."""
    url = grounds.dock.config.database.url
    assert url is not None
    return open_as(url.get_secret_value(), grounds.user, f"Aa1-{grounds.user}", root, schema)


def test_a_schema_without_rights_pauses_its_tables(grounds: Grounds, tmp_path: Path) -> None:
    grounds.run_as_owner("CREATE SCHEMA walled")
    walled = dock_in(grounds, tmp_path, "walled")
    paused = Site(walled).drop("walled.csv", ORDERS)
    walled.target.close()
    assert (paused.verdict, paused.category) == (Verdict.PAUSED, "target"), paused
    assert "walled" in paused.message
    if grounds.has_all_rights:
        assert "grant_permissions.sql" in paused.hint


def test_a_schema_that_the_user_may_not_make_is_the_owners_to_make(
    grounds: Grounds, tmp_path: Path
) -> None:
    dock = dock_in(grounds, tmp_path, "missing")
    with pytest.raises(TargetError, match="permission"):
        apply_scripts(dock.target)
    dock.target.close()


def test_a_table_that_the_user_may_not_see_is_not_taken_for_missing(grounds: Grounds) -> None:
    if grounds.owner.name != "postgresql":
        pytest.skip("here rights on a schema reach every table in it")
    grounds.run_as_owner(
        "CREATE TABLE public.unseen (id bigint)",
        f"REVOKE ALL ON public.unseen FROM {grounds.user}",
    )
    paused = grounds.site.drop("unseen.csv", ORDERS)
    assert (paused.verdict, paused.category) == (Verdict.PAUSED, "target"), paused
    assert "unseen" in paused.message
    assert "grant_permissions.sql" in paused.hint
