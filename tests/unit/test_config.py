"""The configuration says what is wrong, where, and what would be right."""

import re
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from dropload.config import Config, parse_address
from dropload.config_findings import known_keys
from dropload.config_reading import load_config
from dropload.errors import ConfigError
from dropload.resources import resource_folder
from dropload.targets import open_target


def load(tmp_path: Path, toml: str = "", **environ: str) -> Config:
    file = tmp_path / "own.toml"
    file.write_text(toml, encoding="utf-8")
    return load_config(file, environ, tmp_path / ".env").config


def test_without_any_file_the_gate_is_six_checks_fifteen_seconds_apart(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert (config.gate.checks, config.gate.interval_seconds) == (6, 15)
    assert config.load.batch_rows == 990
    assert config.load.max_rejected_rows == 0


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DROPLOAD_GATE__CHECKS=4\nDROPLOAD_WORKERS__COUNT=3\n")
    config = load(
        tmp_path, "[gate]\nchecks = 2\n[load]\nbatch_rows = 10\n", DROPLOAD_GATE__CHECKS="5"
    )
    assert (config.gate.checks, config.workers.count, config.load.batch_rows) == (5, 3, 10)


def test_a_list_from_the_environment_is_split_at_commas(tmp_path: Path) -> None:
    assert load(tmp_path, DROPLOAD_WATCH__IGNORE="*.bak, .*").watch.ignore == ("*.bak", ".*")


@pytest.mark.parametrize(
    ("toml", "environ", "expected"),
    [
        ("[gate]\nchekcs = 3", {}, ["own.toml", "gate.chekcs", "Did you mean 'gate.checks'?"]),
        ("[gates]\nchecks = 3", {}, ["own.toml", "gates", "Did you mean 'gate'?"]),
        ("", {"DROPLOAD_GATE__INTERVAL": "3"}, ["DROPLOAD_GATE__INTERVAL", "interval_seconds"]),
        ("[gate]\nchecks = 0", {}, ["own.toml", "gate.checks", "0", "at least 1"]),
        ("", {"DROPLOAD_GATE__INTERVAL_SECONDS": "soon"}, ["gate.interval_seconds", "'soon'"]),
        ("[load]\nhash_algorithm = 'crc'", {}, ["load.hash_algorithm", "sha256"]),
        ("[metrics]\nlisten = '9000'", {}, ["metrics.listen", "write HOST:PORT"]),
        ("[metrics]\nlisten = 'here:99999'", {}, ["'here:99999'", "write HOST:PORT"]),
        ("[metrics]\nlisten = ':9000'", {}, ["write the host before the port"]),
        ("[metrics]\nlisten = '::1:9000'", {}, ["an IPv6 address in brackets: [::1]:10187"]),
        ("[notify]\nreceivers.a.urll = 'x'", {}, ["'notify.receivers.a.url'?"]),
        ("[notify]\nreceivers.a = 'json://geheim'", {}, ["notify.receivers.a = ***"]),
        ("[notify]\nreceivers.a.url = 5", {}, ["own.toml, line 2: notify.receivers.a.url = ***"]),
        ("[notify]\nreceivers.a.events = ['x']", {}, ["receivers.a.events = 'x'", "file_failed"]),
        ("[notify]\nreceivers.A.url = 'x'", {}, ["notify.receivers.A is no possible name"]),
        ("[notify]\nreceivers.a.url = 'x'\nreceivers.a.url_file = 'y'", {}, ["the URL once"]),
        ("", {"DROPLOAD_NOTIFY__RECEIVERS__A__MIN_SEVERITY": "x"}, ["MIN_SEVERITY", "'warning'"]),
        ("[notify]\nquiet_from = '22:00'", {}, ["own.toml, line 1: notify", "quiet_until"]),
        ("[notify]\nquiet_from = 8\nquiet_until = 9", {}, ["quiet_from = 8", "HH:MM"]),
        ("[notify]\nquiet_from = '8:00'\nquiet_until = '8:00'", {}, ["the same time"]),
        ("[notify]\ntime_zone = 'Mars/Base'", {}, ["'Mars/Base'", "Europe/Berlin"]),
        (
            "[expected]\nfiles.a.table = 'x'",
            {},
            ["own.toml, line 2: expected.files.a.by is missing"],
        ),
        ("[expected]\nfiles.a.by = '7:00'", {}, ["expected.files.a", "either table or pattern"]),
        (
            "[expected]\nfiles.a = {by = '7:00', table = 'x', weekdays = []}",
            {},
            ["at least one weekday"],
        ),
        ("checks = 3", {}, ["own.toml", "outside a section"]),
        ("[gate", {}, ["own.toml: line 1 is no valid TOML: Expected ']'"]),
        ("", {"DROPLOAD_CHECKS": "3"}, ["DROPLOAD_CHECKS", "SECTION__KEY"]),
        ("\n[gate]\n\nchecks = 'six'", {}, ["own.toml, line 4: gate.checks = 'six'", "whole"]),
        ("[gate]\nchecks = 2.5", {}, ["line 2: gate.checks = 2.5", "write a whole number"]),
        ("[gate]\ninterval_seconds = '15s'", {}, ["write a number of seconds, without a unit"]),
        ("[gate]\ninterval_seconds = -5", {}, ["= -5", "it must be more than 0"]),
        ("[load]\nmax_shrink = 50", {}, ["at most 1, which is all of it: 0.5 is half"]),
        ("[database]\nport = 70000", {}, ["database.port = 70000", "at most 65,535"]),
        ("[watch]\nevents = 'maybe'", {}, ["write true or false"]),
        ("[watch]\nignore = '*.bak'", {}, ['write a list, for example ["a", "b"]']),
        ("[log]\nlevel = 'warn'", {}, ["write 'debug', 'info'", " Did you mean 'warning'?"]),
        ("[log]\nfile = 5", {}, ["log.file = 5", "write text in quotes"]),
        ("[paths]\ndropoff = ''", {}, ["own.toml, line 2: paths.dropoff = ''", "it is empty"]),
        ("[load]\nfoo = 6", {}, ["no key 'load.foo'. [load] has: batch_rows, "]),
        ("[load]\ndropoff = '/srv'", {}, ["Did you mean 'paths.dropoff'?"]),
        ("[zzz]", {}, ["own.toml, line 1: there is no key 'zzz'. The sections are: paths, "]),
        ("dropoff = '/srv'", {}, ["line 1: 'dropoff' stands outside", "belongs below [paths]"]),
        ("gate = 5", {}, ["line 1: 'gate' is a section", "Write [gate] in a line of its own"]),
        ("[gate]\nchecks = 1\nchecks = 2", {}, ["own.toml: line 3", "The key stands twice"]),
        ("[gate]\n[load]\n[gate]", {}, ["own.toml: line 3", "The section stands twice"]),
        ("[log]\nfile = /var/log", {}, ["line 2 is no", "after `file =`", "stands in quotes"]),
        ("[notify]\nreceivers.a = {urll = 'x'}", {}, ["own.toml, line 2", "receivers.a.url'?"]),
        (
            "[health]\nheartbeat_warning_seconds = 900",
            {},
            ["heartbeat_warning_seconds (900) must not be more than heartbeat_critical_seconds"],
        ),
        (
            "[database]\nurl = 'sqlite:////srv/x.db'\ntype = 'postgresql'",
            {},
            ["database is not possible: url and type name different ones"],
        ),
        (
            "[database]\nurl = 'mssql://u:geheim@here/x'\nhost = 'there'",
            {},
            ["url and host name different ones: leave one of them out"],
        ),
    ],
)
def test_a_wrong_key_or_value_names_itself_its_origin_and_the_way_out(
    tmp_path: Path, toml: str, environ: dict[str, str], expected: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, toml, **environ)
    for part in expected:
        assert part in str(caught.value)


def test_several_findings_stand_in_a_line_each(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[gate]\nchecks = 0\ninterval_seconds = 0\n")
    first, *others = caught.value.message.splitlines()
    assert first == "2 keys of the configuration are wrong:"
    assert [line.partition(": ")[2].partition(" = ")[0] for line in others] == [
        *("gate.checks", "gate.interval_seconds")
    ]


def test_a_password_is_not_shown_where_its_line_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[database]\npassword = geheim\n")
    assert "line 2 is no valid TOML" in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[paths]\ndropoff = '/srv/größe'\n".encode("latin-1"), "line 2 is not UTF-8 (byte 0xf6)"),
        ("[paths]\n".encode("utf-16"), "it is UTF-16, not UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["own.toml", ".env"])
def test_a_file_that_is_not_utf_8_is_named_with_the_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / "own.toml").write_bytes(b"")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "own.toml", {}, tmp_path / ".env")
    assert str(caught.value) == f"{tmp_path / name}: {said}. Save the file as UTF-8."


@pytest.mark.parametrize("line", ["DROPLOAD_GATE__CHECKS 6", 'DROPLOAD_GATE__CHECKS="6'])
def test_a_line_of_dotenv_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"OTHERS=1\nof others alone\n{line}\n")
    with pytest.raises(ConfigError, match=r"\.env, line 3 cannot be read as NAME=value"):
        load(tmp_path)
    (tmp_path / ".env").write_text("of others alone\nDROPLOAD_GATE__CHECKS=4\n")
    assert load(tmp_path).gate.checks == 4


def test_a_mark_before_the_first_line_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf[gate]\r\nchecks = 7\r\n")
    assert load_config(tmp_path / "own.toml", {}, tmp_path / ".env").config.gate.checks == 7


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:geheim@h/x", "database.url: there is no target 'mysql'."),
        ("postgresql://u:gehe@im@h:port/x", "database.url is not a database URL."),
    ],
)
def test_what_is_found_later_names_its_origin_too(tmp_path: Path, url: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(f"[database]\nurl = '{url}'\n")
    loaded = load_config(tmp_path / "own.toml", {}, tmp_path / ".env")
    with pytest.raises(ConfigError) as caught:
        open_target(loaded.config)
    located = loaded.locate(caught.value)
    assert located.message == f"{tmp_path / 'own.toml'}, line 2: {said}"
    assert (located.hint, located.dl_code) == (caught.value.hint, caught.value.dl_code)
    assert loaded.locate(ConfigError("The tree is gone.")).message == "The tree is gone."


def test_a_server_without_a_host_is_refused() -> None:
    pytest.importorskip("pyodbc", reason="libodbc.so.2 is missing (libodbc2)", exc_type=ImportError)
    config = Config.model_validate({"database": {"type": "mssql", "port": 1433}})
    with pytest.raises(ConfigError, match=r"database\.host is missing"):
        open_target(config)


def test_a_missing_named_file_is_an_error_and_not_a_default(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load_config(tmp_path / "nowhere.toml", {})


def test_variables_for_tests_and_the_file_name_are_not_keys(tmp_path: Path) -> None:
    file = tmp_path / "named.toml"
    file.write_text("[gate]\nchecks = 7\n", encoding="utf-8")
    environ = {"DROPLOAD_CONFIG": str(file), "DROPLOAD_TEST_SQLSERVER_URL": "x"}
    assert load_config(None, environ, tmp_path / ".env").config.gate.checks == 7


def test_every_key_with_its_source_is_listed_and_passwords_are_masked(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[gate]\nchecks = 2\n", encoding="utf-8")
    environ = {"DROPLOAD_DATABASE__URL": "postgresql://me:geheim@db/x"}
    loaded = load_config(tmp_path / "own.toml", environ, tmp_path / ".env")
    settings = {setting.key: setting for setting in loaded.settings()}
    assert set(settings) == set(known_keys())
    assert settings["gate.checks"].source.endswith("own.toml, line 2")
    assert settings["load.batch_rows"].source == "default"
    assert "geheim" not in "".join(str(setting.value) for setting in settings.values())


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:10187", ("127.0.0.1", 10187)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(listen: str, address: tuple[str, int]) -> None:
    assert parse_address(listen) == address


def test_an_empty_address_switches_metrics_off_that_the_file_has_on(tmp_path: Path) -> None:
    toml = "[metrics]\nlisten = '127.0.0.1:10187'\n"
    assert load(tmp_path, toml, DROPLOAD_METRICS__LISTEN="").metrics.listen == ""


def test_tables_that_people_name_come_from_file_and_environment_together(tmp_path: Path) -> None:
    toml = "[notify.receivers.oncall]\nmin_severity = 'error'\nevents = ['file_held']\n"
    environ = {
        "DROPLOAD_NOTIFY__RECEIVERS__ONCALL__URL": "json://localhost/t0ps3cret",
        "DROPLOAD_NOTIFY__RECEIVERS__ONCALL__TABLES": "dbo.sales, ref.*",
        "DROPLOAD_NOTIFY__RECEIVERS__OTHER__IGNORE_QUIET_HOURS": "true",
        "DROPLOAD_EXPECTED__FILES__SALES__TABLE": "sales",
        "DROPLOAD_EXPECTED__FILES__SALES__BY": "7:05",
        "DROPLOAD_EXPECTED__FILES__SALES__WEEKDAYS": "mon,fri",
    }
    (tmp_path / "own.toml").write_text(toml, encoding="utf-8")
    loaded = load_config(tmp_path / "own.toml", environ, tmp_path / ".env")
    oncall, other = loaded.config.notify.receivers.values()
    assert (oncall.min_severity, oncall.events, oncall.tables) == (
        *("error", ("file_held",), ("dbo.sales", "ref.*")),
    )
    assert oncall.url is not None
    assert oncall.url.get_secret_value() == "json://localhost/t0ps3cret"
    assert other.ignore_quiet_hours
    sales = loaded.config.expected.files["sales"]
    assert (sales.by.isoformat("minutes"), sales.weekdays) == ("07:05", ("mon", "fri"))
    shown = {setting.key: setting for setting in loaded.settings()}
    assert shown["notify.receivers.oncall.min_severity"].source.endswith("own.toml, line 2")
    assert "RECEIVERS__ONCALL__URL" in shown["notify.receivers.oncall.url"].source
    assert "t0ps3cret" not in "".join(str(setting.value) for setting in shown.values())
    assert hash(loaded.config) == hash(load_config(tmp_path / "own.toml", environ).config)


def test_the_examples_of_named_tables_in_the_shipped_file_are_right(tmp_path: Path) -> None:
    text = (resource_folder("config") / "dropload.toml").read_text(encoding="utf-8")
    shown: dict[str, list[str]] = {"notify": [], "expected": []}
    for section, lines in shown.items():
        part = text.partition(f"\n[{section}]\n")[2].partition("\n[")[0]
        lines += [
            line.removeprefix("# ")
            for line in part.splitlines()
            if re.match(r"# (receivers|files)\.\w+\.\w+ = ", line) and "url_file" not in line
        ]
    config = load(tmp_path, "\n".join(f"[{s}]\n" + "\n".join(shown[s]) for s in shown))
    assert set(config.notify.receivers["oncall"].model_fields_set) == {
        *("url", "min_severity", "tables", "events", "ignore_quiet_hours")
    }
    assert set(config.expected.files["sales"].model_fields_set) == {
        *("table", "by", "after", "weekdays", "time_zone")
    }


def test_a_wrong_password_value_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[database]\nurl = 5\nport = 99999999\n")
    assert "database.url = ***" in str(caught.value)


def test_the_shipped_file_shows_every_key_commented_at_its_default() -> None:
    text = (resource_folder("config") / "dropload.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {section: {} for section in Config.model_fields}
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line and line.startswith("# ") else line
        for line in text.splitlines()
        if not line.startswith("# ") or _is_key(line)
    )
    values = tomllib.loads(uncommented)
    shown = {f"{section}.{key}" for section, keys in values.items() for key in keys}
    secrets = {"database.password"}
    assert shown == set(known_keys()) - secrets
    examples = {"paths.state", "schemas.non_reference", "workers.count", "log.file"}
    examples |= {"log.audit_file"}
    examples |= {"load.decimal_mark", "load.day_first"}
    examples |= {"notify.quiet_from", "notify.quiet_until"}
    for section, keys in values.items():
        if section == "database":
            continue
        defaults = getattr(Config(), section).model_dump(mode="json")
        for key, value in keys.items():
            if f"{section}.{key}" not in examples:
                assert value == defaults[key], f"{section}.{key}"


def _is_key(line: str) -> bool:
    name, separator, _ = line.removeprefix("# ").partition(" = ")
    return bool(separator) and name.isidentifier()


@pytest.mark.parametrize(
    ("error", "said", "advice"),
    [
        (ModuleNotFoundError("No module named 'x'", name="x"), "not installed (x)", "pip install"),
        (ImportError("libodbc.so.2: cannot open"), "libodbc.so.2: cannot open", "libodbc2"),
    ],
)
def test_a_driver_that_is_missing_is_told_from_one_that_lacks_a_library(
    monkeypatch: pytest.MonkeyPatch, error: ImportError, said: str, advice: str
) -> None:
    def refuse(_point: EntryPoint) -> None:
        raise error

    monkeypatch.setattr(EntryPoint, "load", refuse)
    config = Config.model_validate({"database": {"url": "mssql://u@h/db"}})
    with pytest.raises(ConfigError) as raised:
        open_target(config)
    assert said in raised.value.message
    assert advice in raised.value.hint


def test_a_folder_that_may_not_be_entered_has_no_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when root's shell stands in its own folder, and asks as the service's user."""

    def refuse(_file: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refuse)
    assert load_config(environ={}).config == Config()
