"""Every condition that dropload reports, with its stable code, its cause and its cure.

The first digit says who must act. A code is never given to another condition, and stays when a
message is worded anew. `docs/errors.md` is made of this table (`dropload help errors`).
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is reported, whatever the words of the message."""

    code: str
    """`DL-xxx`."""
    name: str
    """How the code of dropload calls it; `code` of a row in the journal, a report or a program."""
    title: str
    cause: str
    cure: str


WHO = {
    "1": "The administrator: dropload does not start, or says so, until it is mended",
    "2": "Nobody: the file stays where it is and is tried again",
    "3": "Who sent the file: it is in error/, with a report",
    "4": "Somebody must decide: the file is held in its inbox",
    "5": "The database owner: the files of one table wait, the others go on",
    "6": "Nobody: the rows are in the table already, the file is in processed/",
    "7": "Who asked: the command was understood and is not carried out",
    "8": "Who sent the file: one row of it was refused",
    "9": "Whoever runs dropload: what happened to a load, or to dropload itself",
}
"""Who must act, by the first digit."""

_CONDITIONS = (
    # --- configuration
    ("DL-100", "config", "The configuration or the surroundings are wrong",
     "Something that dropload needs is not as it must be; the message names it.",
     "Do what the message says; `dropload config check` looks again."),
    ("DL-101", "config_value", "A key or a value of the configuration is wrong",
     "The key is unknown, or the value out of range; the message names key, value and origin.",
     "Correct it where the message says; `dropload config show` lists all keys."),
    ("DL-102", "config_file", "The configuration file cannot be read",
     "It is missing, not readable for dropload's user, or no valid TOML.",
     "Mend the file or its rights, or name another with --config or DROPLOAD_CONFIG."),
    ("DL-103", "database_url", "The database is not named rightly",
     "database.url, or the parts it is built of, is no address of a database that dropload knows.",
     "Write it as config/dropload.toml and the page of that database in docs/ show."),
    ("DL-104", "driver", "The driver for the database is missing",
     "The package or the ODBC driver that talks to the database is not installed or not found.",
     "Install the extra, or name the driver, as the message says."),
    ("DL-105", "login", "The database refuses the login",
     "User, password or name of the database are wrong, or the server lets nobody in from here.",
     "Check database.user, the password and database.name; try them with the database's client."),
    ("DL-106", "encryption", "Database and driver cannot agree on encryption",
     "The server's certificate is not trusted here, or one side asks for what the other has not.",
     "Install the server's certificate, or set the options that the message names."),
    ("DL-107", "old_server", "The database server is too old",
     "It does not know the statements that dropload needs.",
     "Name a newer server; the message says from which version on."),
    ("DL-108", "credential", "The password's file cannot be read",
     "database.password_file is missing, or not readable for dropload's user.",
     "Give dropload's user the right; under systemd, check LoadCredential= of the unit."),
    ("DL-109", "tree", "The drop tree cannot be used",
     "A folder cannot be made, is no folder, or the whole tree is gone: its share is not mounted.",
     "Mount the share or mend the rights; `dropload init` makes an empty tree on purpose."),
    ("DL-110", "database_place", "The embedded database stands where it cannot",
     "Its folder cannot be written, it is no file, or on a network share, where locks do not hold.",
     "Name a file on a local disk in database.url, or use a database server."),
    ("DL-111", "log_file", "A log file cannot be opened",
     "log.file or log.audit_file is in a folder that is missing or not writable.",
     "Give dropload's user the right to write there, or name another file."),
    ("DL-112", "journal_scripts", "The scripts of the journal are not whole",
     "Files below sql/ are missing or were changed.",
     "Install dropload anew, or put the shipped script back."),
    ("DL-113", "extra", "A package for what is asked for is not installed",
     "Data frames, notifications and traces need packages that are extras.",
     "Install the extra that the message names, for example pip install 'dropload[pandas]'."),
    ("DL-114", "rival", "Two daemons look after one tree with different settings",
     "Their database, schemas or rules are not the same: chance decides what becomes of a file.",
     "Stop one of them, or give both the same configuration."),
    # --- nobody
    ("DL-200", "transient", "Trouble that passes",
     "The database or the machine could not do it just now.",
     "Nothing: it is tried again. If it lasts, the message says what to look at."),
    ("DL-201", "locked", "Somebody holds a lock",
     "Another session has locked the table or the database for longer than was waited.",
     "Nothing; end the session that the message names if it hangs."),
    ("DL-202", "database_away", "The database cannot be reached",
     "It is down, restarting, or the network is.",
     "Nothing: files wait, and load when it is back. If it lasts: host, port, firewall."),
    ("DL-203", "slow_statement", "A statement took too long and was ended",
     "It ran for longer than database.statement_timeout_seconds.",
     "Nothing; if it happens with every file, raise that key or look at `dropload stats TABLE`."),
    ("DL-204", "file_busy", "The file cannot be read just now",
     "Somebody has it locked, or dropload's user may not read it.",
     "Give dropload's group the right to read it; it is tried again."),
    ("DL-205", "file_changed", "The file changed while it was being read",
     "Somebody is still writing it, or has replaced it.",
     "Nothing: the gate begins again. Senders should write under another name and rename."),
    ("DL-206", "stale_plan", "The table changed while the file was being loaded",
     "Its columns are no longer those that the plan was made for.",
     "Nothing: the plan is made anew."),
    ("DL-207", "claim_lost", "Another worker took the load over",
     "This one was not heard of for longer than workers.lease_seconds, or the load was cancelled.",
     "Nothing; if it happens often, the machine is overloaded or the lease too short."),
    ("DL-208", "not_moved", "A file whose load is over could not be moved",
     "Its folder refuses it: rights, a full disk, a share that is away. The rows are loaded.",
     "Mend what the message says; the file is moved by itself."),
    ("DL-209", "table_busy", "Another file of the table comes first",
     "Files of one table are loaded one after the other, in their order.",
     "Nothing."),
    # --- the file
    ("DL-300", "unreadable", "The file cannot be read as a table",
     "It is damaged, or of a kind that dropload does not know.",
     "Look at it with `dropload inspect`, and send it again."),
    ("DL-301", "empty", "There is nothing to load",
     "The file is empty, or has only a header or only delimiters.",
     "Check the export that wrote it, then drop it again."),
    ("DL-302", "unbalanced_quote", "A quote was opened and not closed",
     "A quote is missing, or one that belongs to the text is not doubled.",
     "Close it in the line that the message names, or double it."),
    ("DL-303", "record_too_long", "A record is too long",
     "There are no line ends, or a quote runs through the file.",
     "Check the line ends, or raise load.max_record_bytes."),
    ("DL-304", "encoding", "Bytes that are no text in the file's encoding",
     "Two programs with different encodings wrote it, or it was cut within a character.",
     "Save it as UTF-8; the message names the line."),
    ("DL-305", "not_delimited", "The file is no delimited text",
     "It is a spreadsheet, a web page, JSON or the like, whatever its ending says.",
     "Save the table as CSV and drop that."),
    ("DL-306", "binary", "The file is binary",
     "It holds bytes that no text has.",
     "Export it as text."),
    ("DL-307", "unknown_format", "The file's ending is unknown",
     "dropload reads .csv .tsv .tab .txt .psv .dat, each also with .gz.",
     "Rename or convert the file."),
    ("DL-308", "damaged_archive", "The packed file is damaged",
     "The transfer broke off, or it is no gzip archive.",
     "Send it again, or drop it unpacked."),
    ("DL-309", "expansion", "The packed file unpacks to too much",
     "More than 200 times its size: it may be made to fill the disk.",
     "If that is right, unpack it and drop what is inside."),
    ("DL-310", "rejected_rows", "Too many rows were refused",
     "More rows than load.max_rejected_rows allows cannot be loaded; the report lists them.",
     "Correct these rows in the original and drop it again."),
    ("DL-311", "column_mismatch", "The file's columns are not those of the table",
     "Fewer than load.min_matching_columns of the table's columns are in it.",
     "Check the file's name and header; the message names tables that would fit better."),
    ("DL-312", "missing_required", "A column is missing that the table needs",
     "The column allows no null and has no default.",
     "Add the column to the file."),
    ("DL-313", "ambiguous_columns", "Columns cannot be told apart",
     "Several columns of file or table mean the same one, but for case and punctuation.",
     "Write the names as the table has them."),
    ("DL-314", "same_name", "Two columns have one name",
     "The database takes both names for equal.",
     "Rename one of them."),
    ("DL-315", "too_many_columns", "The file has more columns than a table can have",
     "The database has a limit; the message names it.",
     "Split the file."),
    ("DL-316", "row_too_wide", "A row is wider than the database can keep",
     "The row as a whole has too many bytes.",
     "Split the file into several with fewer columns."),
    ("DL-317", "type_mismatch", "A value does not fit its column",
     "It cannot be stored unchanged.",
     "Correct the value, or ask the database owner for a wider column."),
    ("DL-318", "constraint", "A rule of the table refuses rows",
     "A key, a check or a trigger of the table says no.",
     "Correct the rows that break the rule, and drop the file again."),
    ("DL-319", "no_table_name", "The file's name gives no table",
     "Without dates and endings no letter or digit is left.",
     "Name the file after its table, for example airports_20241201.csv."),
    ("DL-320", "reserved_name", "The file's name leads to dropload's own tables",
     "The journal is kept under that name.",
     "Rename the file."),
    ("DL-321", "path_too_long", "The file's path is too long",
     "The journal has room for 500 characters.",
     "Give the file a shorter name."),
    ("DL-322", "worker_died", "The process that loads died on this file",
     "Three times: it needs more memory or time than it is given, or something else ends it.",
     "Raise workers.memory_limit_mb or workers.load_timeout_seconds; the log says how it died."),
    # --- held
    ("DL-400", "held", "Somebody must decide",
     "A guard rail holds the file; the message says which.",
     "`dropload release FILE`, or drop a new version."),
    ("DL-401", "would_empty", "A fullload would leave the table without rows",
     "The file has no rows.",
     "Drop a new version; release it if the table is really to be emptied."),
    ("DL-402", "would_shrink", "A fullload would shrink the table",
     "By more than load.max_shrink.",
     "Drop a complete version, or release it if this is right."),
    ("DL-403", "would_narrow", "A fullload lacks columns of the table",
     "They would become null or their default.",
     "Drop a complete version, or release it."),
    ("DL-404", "would_cascade", "A fullload would change rows of other tables",
     "Foreign keys with ON DELETE CASCADE or the like refer to the table.",
     "Load it as append, change the key, or release it."),
    ("DL-405", "doubtful_layout", "It is not sure how the file is written, or where its table ends",
     "Two readings are possible, or its confidence is below load.min_confidence.",
     "Look at it with `dropload inspect`; take out what is not of the table, or release it."),
    ("DL-406", "rejects_as_fullload", "A fullload of rejected rows only",
     "It would replace the whole table by the rows that were refused before.",
     "Drop it into the append inbox."),
    ("DL-407", "doubtful_values", "A column could be read in two ways, or would become text",
     "Values such as 1.234, 03/04/2024 or one word among numbers; the message quotes them.",
     "Set the key that the message names, correct the values, or release it."),
    ("DL-408", "out_of_order", "A later file of the table was loaded before this one",
     "This one was kept waiting; loaded now, the table would hold other rows.",
     "Release it if it is to be loaded after that one."),
    ("DL-409", "cancelled", "A person has stopped the load",
     "`dropload cancel`.",
     "Release the file when it may load."),
    # --- the database owner
    ("DL-500", "target", "The database refuses something",
     "What it says is in the message.",
     "Do what the message says; the table's files are tried again every retry.pause_seconds."),
    ("DL-501", "permission", "A permission is missing",
     "dropload's user may not do what a load needs.",
     "Grant it: grant_permissions.sql beside the journal's scripts in sql/ has them all."),
    ("DL-502", "database_full", "The database has no room",
     "Disk, log or quota are full.",
     "Make room; the files load by themselves then."),
    ("DL-503", "table_changed", "The table is not as dropload needs it",
     "Columns or the table itself were changed or dropped by hand.",
     "Put it back as the message says, or copy the rows from the backup by hand."),
    ("DL-504", "dependent_rows", "Rows of other tables are in the way",
     "Foreign keys refer to the rows that would go.",
     "Change the key, or take the rows out by hand."),
    ("DL-505", "row_count", "The table does not have the rows that it should have",
     "A trigger or a rule of the table adds or drops rows; nothing was committed.",
     "Look at the triggers and rules of the table."),
    ("DL-506", "column_change", "A column must be changed by hand",
     "dropload would lose a rule of its owner, or values, by changing it.",
     "Change it as the message says; the load goes on then."),
    ("DL-507", "durability", "The database may lose commits in a crash",
     "Delayed durability is forced.",
     "ALTER DATABASE … SET DELAYED_DURABILITY = ALLOWED, or DISABLED."),
    # --- duplicates
    ("DL-600", "duplicate", "The same bytes are in the table already",
     "The file was loaded before, or a later one has replaced its rows.",
     "Nothing; `dropload load --force FILE` loads it all the same."),
    # --- refused
    ("DL-700", "refused", "The command is not carried out",
     "What it asks for is not possible as things are; the message says why.",
     "Do what the message says."),
    ("DL-701", "not_prepared", "The database is not prepared",
     "It has no journal yet, or one of an earlier version.",
     "`dropload init`, or the daemon's next start."),
    ("DL-702", "no_load", "There is no such load",
     "The number is wrong, or the load is older than retention.journal_days.",
     "`dropload history` lists them."),
    ("DL-703", "no_table", "There is no such table, or no such column",
     "The name is wrong, or means several.",
     "Write schema.name; the message names what is near."),
    ("DL-704", "no_file", "The file that was named cannot be loaded",
     "It is missing, no file, or in no inbox and without --area and --load-type.",
     "Do what the message says."),
    ("DL-705", "not_undone", "The load cannot be undone",
     "Its backup is gone, later loads stand on it, or it brought no rows.",
     "`dropload undo LOAD_ID --dry-run` says what is in the way."),
    ("DL-706", "not_cancelled", "The load cannot be cancelled",
     "It is over, or committed.",
     "`dropload undo LOAD_ID` takes back what is committed."),
    ("DL-707", "not_retried", "The file cannot be put back into its inbox",
     "Its load did not fail, the file is gone, or a new one is there.",
     "Do what the message says."),
    ("DL-708", "not_held", "The file is not held",
     "Nothing keeps it from loading, or it is another version.",
     "`dropload status` says what it waits for."),
    # --- rows
    ("DL-801", "too_few_cells", "A row has too few cells",
     "Delimiters are missing, or the row was cut off.",
     "Complete the row."),
    ("DL-802", "too_many_cells", "A row has too many cells",
     "A delimiter stands in a value that is not quoted.",
     "Quote that value."),
    ("DL-803", "misquoted", "A quote stands where none may",
     "Text follows a closing quote, or a quote stands in the midst of a value.",
     "Double the quotes that belong to the text."),
    ("DL-804", "nul_byte", "A value holds a NUL character",
     "Databases cannot keep it; often the file was cut off or is half binary.",
     "Write the file anew."),
    ("DL-805", "null_value", "A value is missing that the table needs",
     "The column allows no null.",
     "Fill it in."),
    ("DL-806", "misfit", "A value does not fit its column unchanged",
     "It is too long, too large, or of another type than the column of your table.",
     "Correct the value, or have the column changed."),
    # --- dropload
    ("DL-900", "internal", "An error in dropload",
     "Something that nobody foresaw.",
     "See all of it with DROPLOAD_LOG__LEVEL=debug, and please report it."),
    ("DL-901", "file_gone", "The file was gone before it could be moved",
     "Somebody took it away, or replaced it, after its rows were loaded.",
     "Nothing; a new version is a drop of its own."),
    ("DL-902", "late_write", "The file was written to after it had been loaded",
     "Its sender was not done when the gate found it whole.",
     "Drop it again whole; senders should write under another name and rename."),
)  # fmt: skip

CONDITIONS = tuple(Condition(*values) for values in _CONDITIONS)
_BY_NAME = {one.name: one for one in CONDITIONS}
_BY_CODE = {one.code: one for one in CONDITIONS}


def code_of(name: str) -> str:
    """Return the stable code of a condition; the empty string for a name that is none."""
    found = _BY_NAME.get(name)
    return found.code if found else ""


def find_condition(text: str) -> Condition | None:
    """Return the condition of a code (`DL-301`, `dl301`, `301`) or of a name; None for none."""
    digits = text.upper().removeprefix("DL").lstrip("-")
    return _BY_CODE.get(f"DL-{digits}") or _BY_NAME.get(text.lower())


def render_conditions() -> Iterator[str]:
    """Yield the lines of `docs/errors.md`."""
    yield "# Error codes"
    yield ""
    yield "Every error that a command or a report tells of has a code. It stays the same in all"
    yield "versions, whatever the words of the message; its first digit says who must act."
    yield "`dropload help DL-301` says on the terminal what stands here. In JSON the key is `code`;"
    yield "`history --json` and `show --json` have it as `error_code`, and so has the journal"
    yield "(`Load_History.error_code`). What `dropload health` and `status` find is said in words."
    for digit, who in WHO.items():
        yield ""
        yield f"## DL-{digit}xx · {who}"
        for one in CONDITIONS:
            if one.code.startswith(f"DL-{digit}"):
                yield ""
                yield f"### {one.code} · {one.title}"
                yield ""
                yield f"`{one.name}`. {one.cause}"
                yield ""
                yield f"**What to do:** {one.cure}"
