"""Every file is accounted for, and one that is not is named."""

import json
from pathlib import Path

from dropload.accounts import account_for_files
from dropload.model import Observation
from tests.conftest import Yard
from tests.unit.test_recovery import ORDERS, claim


def counts(yard: Yard) -> dict[str, int]:
    account = account_for_files(yard.dock, lambda _seconds: None)
    assert account.missing == ()
    assert account.seen == sum(account.counts.values())
    return {name: number for name, number in account.counts.items() if number}


def note(yard: Yard, path: Path) -> None:
    stat = path.stat()
    inbox = yard.inbox()
    seen = Observation(inbox, path.name, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    with yard.dock.target.write() as conn:
        yard.dock.journal.tracking.upsert_waiting(conn, [(path, inbox, seen.version, "new")])


def test_each_file_is_in_exactly_one_of_the_counts(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    yard.drop("orders_20260102.csv", ORDERS)
    yard.drop("broken.csv", "id,name\n1\n")
    yard.drop("empty.csv", "", load_type="fullload")
    note(yard, yard.put("new.csv", ORDERS))
    note(yard, yard.put("gone.csv", ORDERS))
    (yard.inbox().path / "gone.csv").unlink()
    yard.put("unseen.csv", ORDERS)
    assert counts(yard) == {
        "loaded": 1,
        "duplicate": 1,
        "error": 1,
        "held": 1,
        "waiting": 2,
        "withdrawn": 1,
    }


def test_a_file_that_is_being_loaded_waits(yard: Yard) -> None:
    claim(yard, yard.put("orders.csv", ORDERS), "somebody")
    assert counts(yard) == {"waiting": 1}


def test_a_file_that_only_has_to_be_moved_is_loaded_wherever_it_stands(yard: Yard) -> None:
    outcome = yard.drop("orders.csv", ORDERS)
    assert outcome.filed_path is not None
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL")
    assert counts(yard) == {"loaded": 1}
    outcome.filed_path.rename(yard.inbox().path / "orders.csv")
    assert counts(yard) == {"loaded": 1}


def test_what_people_take_out_of_error_is_still_accounted_for(yard: Yard) -> None:
    outcome = yard.drop("broken.csv", "id,name\n1\n")
    assert outcome.filed_path is not None
    outcome.filed_path.unlink()
    assert counts(yard) == {"error": 1}


def test_a_file_whose_load_is_over_and_that_is_nowhere_is_missing(yard: Yard) -> None:
    outcome = yard.drop("orders.csv", ORDERS)
    assert outcome.filed_path is not None
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL")
    outcome.filed_path.unlink()
    account = account_for_files(yard.dock, lambda _seconds: None)
    [missing] = account.missing
    assert Path(missing.path).name == "orders.csv"
    assert "load 1 is committed" in missing.reason
    assert account.counts["loaded"] == 0
    assert account.seen == 1


def test_a_file_in_processed_that_no_load_put_there_is_missing(yard: Yard) -> None:
    yard.drop("orders.csv", ORDERS)
    theirs = yard.inbox().path / "processed" / "20260101T000000Z_theirs.csv"
    theirs.write_text(ORDERS)
    [missing] = account_for_files(yard.dock, lambda _seconds: None).missing
    assert missing.path == str(theirs)


def test_a_new_version_above_one_that_only_has_to_be_moved_waits(yard: Yard) -> None:
    yard.drop("orders.csv", "id\n1\n")
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL")
    yard.put("orders.csv", "id\n1\n2\n")
    account = account_for_files(yard.dock, lambda _seconds: None)
    assert (account.counts["loaded"], account.counts["waiting"]) == (1, 1)
    assert account.missing == ()


def test_what_a_crash_left_reserved_and_the_answer_to_a_replaced_file_are_not_missing(
    yard: Yard,
) -> None:
    yard.drop("orders.csv", "id,name\n1\n")
    yard.execute('UPDATE "ref.Load_History" SET filed_path=NULL')
    [filed] = (yard.inbox().path / "error").glob("*_orders.csv")
    filed.unlink()
    reserved = yard.inbox().path / "processed" / "20261120T101500Z_other.csv"
    reserved.write_bytes(b"dropload keeps this name free for /somewhere/other.csv\n")
    assert account_for_files(yard.dock, lambda _seconds: None).missing == ()


def test_files_in_an_inbox_that_cannot_be_seen_are_not_withdrawn(yard: Yard) -> None:
    note(yard, yard.put("orders.csv", ORDERS))
    yard.inbox().path.rename(yard.root / "away")
    account = account_for_files(yard.dock, lambda _seconds: None)
    assert account.counts["withdrawn"] == 0
    [found] = account.missing
    assert found.path == str(yard.inbox().path)
    assert found.reason.startswith("unknown: ")


def test_a_file_that_arrives_where_it_belongs_while_we_look_is_not_missing(yard: Yard) -> None:
    outcome = yard.drop("orders.csv", ORDERS)
    assert outcome.filed_path is not None
    kept = yard.root / "kept.csv"
    outcome.filed_path.rename(kept)
    yard.execute("UPDATE \"ref.Load_History\" SET state='committed', filed_at=NULL")

    def arrive(_seconds: float) -> None:
        assert outcome.filed_path is not None
        if kept.exists():
            kept.rename(outcome.filed_path)

    assert account_for_files(yard.dock, arrive).missing == ()


def test_the_account_is_a_command_that_fails_when_a_file_is_missing(yard: Yard) -> None:
    from click.testing import CliRunner

    from dropload.cli.app import dropload

    yard.drop("orders.csv", ORDERS)
    environ = {
        "DROPLOAD_PATHS__DROPOFF": str(yard.root / "dropoff"),
        "DROPLOAD_DATABASE__URL": f"sqlite:///{yard.root / 'dropload.db'}",
    }
    done = CliRunner(env=environ).invoke(dropload, ["status", "--account"], standalone_mode=False)
    assert (done.return_value, "Every file is accounted for." in done.output) == (0, True)
    (yard.inbox().path / "processed" / "theirs.csv").write_text(ORDERS)
    asked = ["status", "--account", "--json"]
    done = CliRunner(env=environ).invoke(dropload, asked, standalone_mode=False)
    assert done.return_value == 1
    answer = json.loads(done.output)
    assert (answer["seen"], answer["loaded"], len(answer["missing"])) == (2, 1, 1)
