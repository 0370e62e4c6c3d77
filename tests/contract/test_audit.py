"""Who did what to which load: written down beside it, and never changed."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dropload.cleanup import clean_up
from dropload.config import Config
from dropload.daemon import Daemon
from dropload.dock import open_dock, prepare
from dropload.errors import DroploadError, RefusedError, TargetError
from dropload.identity import worker_name
from dropload.intake import drop_of_path, name_drop
from dropload.interventions import cancel_load, release_file, retry_load
from dropload.journal import ActionFilter
from dropload.journal.migrations import scripts_of
from dropload.journal.tables import journal_tables
from dropload.looking_back import list_actions
from dropload.model import Area, Load, LoadType, TableName, Verdict
from dropload.on_request import load_file
from dropload.references import repair_references
from dropload.undo import ask_for_undo, plan_undo, undo_load
from tests.conftest import let_audit_be_changed, make_config
from tests.contract.test_loading import Site

SOURCE = Path(__file__).parents[2] / "src" / "dropload"
ORDERS = "id,name\n1,secretcell\n2,Bob\n"


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    dock = open_dock(make_config(tmp_path, database={"url": database_url}))
    prepare(dock, "eve")
    yield Site(dock)
    dock.target.close()


def put(site: Site, content: str, load_type: str = "append", name: str = "orders.csv") -> Path:
    [inbox] = [
        inbox
        for inbox in site.dock.tree.inboxes
        if (inbox.area, inbox.load_type) == ("non-reference", load_type)
    ]
    path = inbox.path / name
    path.write_text(content, encoding="utf-8")
    return path


def audited(site: Site) -> list[tuple[str, str, int | None, str, str, str]]:
    log = journal_tables(site.dock.target).audit
    query = sa.select(
        log.c.actor, log.c.action, log.c.load_id, log.c.detail, log.c.reason, log.c.result
    ).order_by(log.c.id)
    with site.dock.target.read() as conn:
        return [(*row[:3], row[3] or "", row[4] or "", row[5]) for row in conn.execute(query)]


def ask(site: Site, path: Path, actor: str, *, force: bool = False, reason: str = "") -> int:
    outcome = load_file(site.dock, path, None, None, force=force, actor=actor, reason=reason)
    assert outcome.load_id is not None
    return outcome.load_id


def do_everything(site: Site) -> None:
    """Let people and the daemon do all that changes something."""
    first = ask(site, put(site, ORDERS), "ada")
    again = ask(site, put(site, ORDERS), "bob", force=True, reason="twice is right")
    undo_load(site.dock, again, "cyd", reason="it was not")
    undo_load(site.dock, first, "cyd")
    ask(site, put(site, ORDERS, "fullload"), "ada")
    held = put(site, "id,name\n", "fullload")
    ask(site, held, "ada")
    release_file(site.dock, held, "dan", "closing")
    failed = ask(site, put(site, "id,name\n1\n"), "ada")
    put(site, ORDERS).unlink()
    retry_load(site.dock, failed, "fay", "mended")
    cancel_load(site.dock, claim(site, put(site, ORDERS, name="other.csv")), "gus", "wrong")
    site.execute(f"CREATE TABLE {site.dock.target.quoted(stray_table(site))} (n integer)")
    repair_references(site.dock, "hal")
    clean_up(site.dock, "ida")


def stray_table(site: Site) -> TableName:
    return TableName(site.dock.target.schema_of(Area.REFERENCE), "stray")


def claim(site: Site, path: Path) -> int:
    drop = drop_of_path(path, site.dock.tree, None, None, force=False, requested_by="daemon")
    named = name_drop(drop, site.dock.target)
    with site.dock.target.write() as conn:
        claimed = site.dock.journal.claims.claim(conn, named.drop, named.table, worker_name())
    assert isinstance(claimed, Load)
    return claimed.load_id


def test_everything_that_changes_something_is_written_with_who_and_why(site: Site) -> None:
    do_everything(site)
    found = audited(site)
    said = [(actor, action) for actor, action, *_ in found]
    assert said == [
        *[("eve", "init")] * (len(scripts_of(site.dock.target)) + 1),
        ("ada", "load"),
        ("bob", "load_forced"),
        ("cyd", "undo"),
        ("cyd", "undo"),
        ("ada", "load"),
        ("ada", "load"),
        ("dan", "release"),
        ("ada", "load"),
        ("fay", "retry"),
        ("gus", "cancel"),
        ("hal", "reference_repair"),
        ("ida", "cleanup"),
    ]
    details = {action: detail for _, action, _, detail, *_ in found}
    reasons = {action: reason for _, action, _, _, reason, _ in found}
    assert {result for *_, result in found} == {"done"}
    assert details["init"] == f"15 folders of {site.dock.tree.root}"
    assert found[0][3] == "0001_journal.sql"
    assert reasons["load_forced"] == "twice is right"
    assert reasons["release"] == "closing"
    assert (details["cancel"], reasons["cancel"]) == ("the load was claimed", "wrong")
    assert reasons["retry"] == "mended"
    assert "secretcell" not in str(found)


def test_rows_of_the_audit_log_are_only_ever_added(site: Site) -> None:
    touched: list[str] = []

    def look(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words = statement.split()
        if "audit_log" in statement.lower() and words[0].upper() not in (
            "SELECT",
            "INSERT",
            "WITH",
        ):
            touched.append(statement)

    sa.event.listen(site.dock.target.engine, "before_cursor_execute", look)
    before = audited(site)
    do_everything(site)
    assert touched == []
    assert audited(site)[: len(before)] == before
    # What is older than retention.journal_days is the one exception, and is documented.
    log = journal_tables(site.dock.target).audit
    let_audit_be_changed(site.dock.target)
    with site.dock.target.write() as conn:
        long_ago = site.dock.target.now(conn) - timedelta(days=500)
        conn.execute(sa.update(log).where(log.c.action == "undo").values(at=long_ago))
    touched.clear()
    clean_up(site.dock, "ida")
    assert [statement.split()[0].upper() for statement in touched] == ["DELETE"]


def test_only_the_retention_may_take_rows_out_of_the_audit_log() -> None:
    """The table is named in one place; who gets it may insert, the retention may delete."""
    naming = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if '"Audit_Log"' in path.read_text(encoding="utf-8")
    }
    assert naming == {"journal/tables.py"}
    holders = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr == "audit"
        and ast.unparse(node.value) in ("tables", "self._tables", "journal_tables(target)")
    }
    changing = {
        holder
        # It only takes the name, so that the table is no reference table.
        for holder in holders - {"journal/reference.py"}
        if {"sa.update(self._table)", "sa.delete(self._table)", "sa.update(log)"}
        & set(calls_of(class_of(SOURCE / holder, "Audit") or SOURCE / holder))
    }
    assert holders >= {"journal/audit.py", "journal/retention.py"}
    assert changing == set()


def class_of(path: Path, name: str) -> ast.ClassDef | None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name), None)


def calls_of(where: ast.ClassDef | Path) -> list[str]:
    tree = ast.parse(where.read_text(encoding="utf-8")) if isinstance(where, Path) else where
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_a_password_in_a_reason_is_masked(site: Site) -> None:
    ask(site, put(site, ORDERS), "ada", reason="from postgresql://me:geheim@db/x")
    assert "geheim" not in str(audited(site))
    assert "postgresql://me:***@db/x" in audited(site)[-1][4]


def test_what_the_daemon_loads_is_in_the_history_and_no_action_of_a_person(site: Site) -> None:
    site.drop("orders.csv", ORDERS)
    before = audited(site)
    path = put(site, "id,name\n3,Cyd\n")
    daemon = Daemon(site.dock, until_idle=True)
    path.with_name("orders.csv.done").touch()
    daemon.run()
    assert site.states() == ["filed", "filed"]
    added = audited(site)[len(before) :]
    assert [(actor, action) for actor, action, *_ in added] == [("daemon", "cleanup")]


def test_a_reloaded_configuration_is_written_with_the_sections_that_changed(
    site: Site, tmp_path: Path
) -> None:
    def read_config() -> Config:
        old = site.dock.config
        return old.model_copy(
            update={"retention": old.retention.model_copy(update={"log_days": 7})}
        )

    daemon = Daemon(site.dock, until_idle=True, read_config=read_config)
    daemon.reload()
    daemon.run()
    assert ("daemon", "configuration_reload", None, "retention", "", "done") in audited(site)


def test_a_load_of_a_file_elsewhere_is_written_too(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.csv"
    path.write_text(ORDERS, encoding="utf-8")
    outcome = load_file(
        site.dock, path, Area.NON_REFERENCE, LoadType.APPEND, force=False, actor="ada"
    )
    assert outcome.verdict is Verdict.LOADED
    assert audited(site)[-1] == ("ada", "load", outcome.load_id, "", "", "done")
    assert path.exists()


def test_the_database_itself_keeps_rows_from_being_changed_or_taken_out(site: Site) -> None:
    target = site.dock.target
    log = journal_tables(target).audit
    before = audited(site)
    for change in (
        sa.update(log).values(actor="nobody"),
        sa.update(log).where(log.c.action == "init").values(detail=None),
        sa.delete(log),
    ):
        with pytest.raises(DroploadError, match="append only"), target.write() as conn:
            conn.execute(change)
    assert audited(site) == before
    with target.write() as conn:
        old = target.now(conn) - timedelta(days=91)
        conn.execute(sa.insert(log).values(at=old, actor="x", action="init").inline())
        assert conn.execute(sa.delete(log).where(log.c.at <= old)).rowcount == 1
    assert audited(site) == before


def test_what_is_refused_is_written_with_the_reason(site: Site) -> None:
    done = ask(site, put(site, ORDERS), "ada")
    before = audited(site)
    for refuse, action, load_id in (
        (lambda: cancel_load(site.dock, done, "eve", "why not"), "cancel", done),
        (lambda: cancel_load(site.dock, 99, "eve", "why not"), "cancel", 99),
        (lambda: undo_load(site.dock, 99, "eve", reason="why not"), "undo", 99),
        (lambda: undo_load(site.dock, 10**30, "eve", reason="why not"), "undo", None),
        (lambda: retry_load(site.dock, done, "eve", "why not"), "retry", done),
        (lambda: release_file(site.dock, Path("/x.csv"), "eve", "why not"), "release", None),
    ):
        with pytest.raises(RefusedError) as refused:
            refuse()
        detail = refused.value.message
        assert audited(site)[-1] == ("eve", action, load_id, detail, "why not", "refused")
    assert len(audited(site)) == len(before) + 6
    append = ask(site, put(site, "id,name\n7,Fay\n"), "ada")
    full = ask(site, put(site, ORDERS, "fullload"), "ada", force=True)
    plan_undo(site.dock, append)
    assert audited(site)[-1][1] == "load_forced", "asking what would be is no attempt"
    plan = ask_for_undo(site.dock, append, "eve")
    assert plan.refused
    assert audited(site)[-1] == ("eve", "undo", append, plan.refused, "", "refused")
    assert ask_for_undo(site.dock, full, "eve").refused == ""
    assert audited(site)[-1][1:3] == ("undo", full)


def test_trouble_is_written_by_its_category_and_the_database_is_not_quoted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise TargetError("Key (name)=(secretcell) already exists.")

    monkeypatch.setattr(type(site.dock.journal.claims), "cancel", away)
    load_id = claim(site, put(site, ORDERS))
    with pytest.raises(TargetError):
        cancel_load(site.dock, load_id, "eve")
    assert audited(site)[-1] == ("eve", "cancel", load_id, "target", "", "failed")


def test_a_load_that_a_person_asked_for_shows_how_it_ended(site: Site) -> None:
    ask(site, put(site, ORDERS), "ada")
    ask(site, put(site, "id,name\n1\n"), "ada")
    [failed, loaded] = list_actions(site.dock, ActionFilter(action="load"))
    assert (loaded.result, failed.result) == ("done", "failed")
    claim(site, put(site, "id,name\n8,Gus\n", name="busy.csv"))
    outcome = load_file(
        site.dock, put(site, "id,name\n8,Gus\n", name="busy.csv"), None, None, force=False,
        actor="bob", reason="again",
    )  # fmt: skip
    assert outcome.load_id is None
    actor, action, load_id, detail, reason, result = audited(site)[-1]
    assert (actor, action, load_id, reason, result) == ("bob", "load", None, "again", "refused")
    assert outcome.message in detail


def test_a_journal_of_before_reads_as_done(site: Site) -> None:
    log = journal_tables(site.dock.target).audit
    with site.dock.target.write() as conn:
        now = site.dock.target.now(conn)
        conn.execute(sa.insert(log).values(at=now, actor="x", action="cleaned").inline())
    [old] = list_actions(site.dock, ActionFilter(actor="x"))
    assert (old.action, old.result) == ("cleaned", "done")
