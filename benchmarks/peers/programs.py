"""Programs that are started anew for every file, as a person or a script would."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.jobs import POSTGRESQL, SQLITE, SQLSERVER, Job, Load, Loaded, Prepare
from benchmarks.peers.sqlserver import create_table, typed_columns


def find_program(name: str, environment: Path | None = None) -> str | None:
    """Return where a program is: beside Python, in a package of its own, or on the path."""
    folder = environment or Path(sys.prefix)
    beside = folder / "bin" / name
    packed = sorted(folder.glob(f"lib/python*/site-packages/*/bin/{name}"))
    packed += sorted(folder.glob(f"lib/python*/site-packages/*/pginstall/bin/{name}"))
    found = [str(path) for path in (beside, *packed) if path.exists()]
    return shutil.which(name) or next(iter(found), None)


def prepare_import(job: Job) -> Load:
    script = f".import --csv {job.source} {job.table}\n"
    return lambda: _run(["sqlite3", job.path], job, script=script)


def prepare_sqlite_utils(job: Job) -> Load:
    command = ["sqlite-utils", "insert", job.path, job.table, str(job.source), "--csv"]
    return lambda: _run(command, job)


def prepare_csvsql(job: Job) -> Load:
    """Without its search for types, which takes many times longer than all the rest."""
    command = ["csvsql", "--no-inference", "--snifflimit", "0", "--db", job.url, "--insert"]
    command += ["--tables", job.table, str(job.source)]
    return lambda: _run(command, job)


def prepare_psql(job: Job) -> Load:
    columns = ", ".join(f'"{name}" text' for name in job.names)
    _run(["psql", "-q", job.url, "-c", f'CREATE TABLE "{job.table}" ({columns})'], job)
    copy = f"\\copy \"{job.table}\" FROM '{job.source}' (FORMAT csv, HEADER)"
    return lambda: _run(["psql", "-q", "-v", "ON_ERROR_STOP=1", job.url, "-c", copy], job)


def prepare_sling(job: Job) -> Load:
    schema = {SQLITE: "main", POSTGRESQL: "public"}.get(job.database, "dbo")
    url = job.url.replace("sqlite:////", "sqlite:///", 1)
    if job.database == SQLSERVER:
        # What stands behind the host is an instance for its driver, not a database.
        encrypt = "disable" if "encrypt=no" in job.address.query else "true"
        query = f"database={job.database_name}&encrypt={encrypt}&TrustServerCertificate=true"
        url = f"sqlserver://{job.address.netloc}?{query}"
    command = ["sling-linux-amd64", "run", "--src-stream", f"file://{job.source}"]
    command += ["--tgt-conn", "BENCH", "--tgt-object", f"{schema}.{job.table}"]
    command += ["--mode", "full-refresh"]
    return lambda: _run(command, job, environ={"BENCH": url})


def prepare_freebcp(job: Job) -> Load:
    """It knows no quotes: the file is written anew for it beforehand, with tabs."""
    create_table(job, typed_columns(job))
    plain = job.folder / "plain.tsv"
    with job.source.open(encoding="utf-8", newline="") as source, plain.open("w") as out:
        reader = csv.reader(source)
        next(reader)
        out.writelines("\t".join(row) + "\n" for row in reader)
    user, password = job.login
    server = f"{job.address.hostname}:{job.address.port or 1433}"
    command = ["freebcp", f"{job.database_name}.dbo.{job.table}", "in", str(plain), "-c"]
    command += ["-S", server, "-U", user, "-P", password, "-t", "\t", "-r", "\n"]
    # All rows in one batch, which is its fastest way.
    command += ["-b", "1000000000"]
    settings = job.folder / "freetds.conf"
    settings.write_text("[global]\n\ttds version = 7.4\n\tclient charset = UTF-8\n")
    return lambda: _run(command, job, environ={"FREETDSCONF": str(settings)})


def _run(
    command: Sequence[str], job: Job, script: str = "", environ: Mapping[str, str] | None = None
) -> Loaded:
    program = find_program(command[0])
    assert program is not None, command[0]
    done = subprocess.run(
        [program, *command[1:]],
        input=script,
        text=True,
        capture_output=True,
        cwd=job.folder,
        env={**os.environ, **(environ or {})},
        check=False,
    )
    if done.returncode:
        sys.exit((done.stderr or done.stdout).strip()[-2000:])
    return Loaded(f'"{job.table}"')


PEERS: dict[str, Prepare] = {
    "sqlite3 .import": prepare_import,
    "sqlite-utils": prepare_sqlite_utils,
    "csvkit csvsql": prepare_csvsql,
    "psql \\copy": prepare_psql,
    "sling": prepare_sling,
    "freebcp": prepare_freebcp,
}
