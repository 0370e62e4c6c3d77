"""A place where SQLite's file cannot be: what is wrong, for whom, and what to do."""

import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from dropload.errors import ConfigError, TargetError, TransientError
from dropload.identity import person_name
from dropload.targets.sqlite.place import check_place, find_fault
from tests.conftest import Yard


def forbid(monkeypatch: pytest.MonkeyPatch, *refused: Path) -> None:
    """Have these refuse to be written, as they refuse anybody but root."""
    real = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) not in refused and real(path, mode)
    )


def failure(code: int) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("unable to open database file")
    made.sqlite_errorcode = code
    return made


def test_a_place_that_is_well_has_no_fault(yard: Yard, tmp_path: Path) -> None:
    assert find_fault(tmp_path / "new" / "deeper" / "x.db") is None
    check_place(tmp_path / "new" / "x.db")
    error = yard.dock.target.translate(failure(sqlite3.SQLITE_CANTOPEN))
    assert isinstance(error, TransientError)
    assert "tried again" in error.hint


def test_a_folder_that_cannot_be_written_names_the_user_and_the_way_out(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match=f"cannot be written by user {person_name()}") as refused:
        check_place(tmp_path / "new" / "x.db")
    assert "Give" in refused.value.hint
    for found in (failure(sqlite3.SQLITE_CANTOPEN), PermissionError(13, "Permission denied")):
        error = yard.dock.target.translate(found)
        assert isinstance(error, TargetError), "waiting mends nothing"
        assert str(tmp_path) in error.message
        assert "database.url" in error.hint


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_a_file_of_another_user_is_named(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    file = tmp_path / f"dropload.db{suffix}"
    file.touch()
    forbid(monkeypatch, file)
    error = yard.dock.target.translate(failure(sqlite3.SQLITE_READONLY))
    assert isinstance(error, TargetError)
    assert f"file {file} cannot be read and written by user" in error.message
    assert "another user" in error.hint


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ConfigError, match=r"taken is no folder"):
        check_place(tmp_path / "taken" / "x.db")


def test_a_file_system_for_reading_only_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch, tmp_path)
    real = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*real[:8], real.f_flag | os.ST_RDONLY, *real[9:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: read_only)
    fault = find_fault(tmp_path / "x.db")
    assert fault is not None
    assert "for reading only" in fault.message


def test_a_file_that_may_be_written_again_needs_no_new_start(yard: Yard) -> None:
    """A connection that was opened without the right to write keeps none, until it is made anew."""
    real = sqlite3.connect
    is_shut = True

    def connect(database: str, **options: object) -> sqlite3.Connection:
        made = real(database, **options)  # type: ignore[call-overload]
        made.execute(f"PRAGMA query_only={'ON' if is_shut else 'OFF'}")
        return made  # type: ignore[no-any-return]

    target = yard.dock.target
    target.engine.dispose()
    sa.event.listen(
        target.engine, "do_connect", lambda _d, _r, args, options: connect(*args, **options)
    )
    with pytest.raises(TargetError, match="cannot be written"), target.write() as conn:
        conn.exec_driver_sql("CREATE TABLE x (a)")
    is_shut = False
    with target.write() as conn:
        conn.exec_driver_sql("CREATE TABLE x (a)")
    assert "x" in yard.tables()
