"""Dashboard, alert rules and their guide speak of the metrics that there are."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from dropload.model import Verdict
from dropload.resources import resource_folder
from tests.unit.test_metrics import BEAT, DROP, OUTCOME, Counted, finished

DOCS = Path(__file__).parents[2] / "docs"
MONITORING = resource_folder("config") / "monitoring"
GUIDE = (DOCS / "monitoring.md").read_text(encoding="utf-8")
RUNBOOK = (DOCS / "runbook.md").read_text(encoding="utf-8")
ADDED_BY_PROMETHEUS = {"job", "instance"}
TYPES = {"counter", "gauge", "histogram"}


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    board = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> list[str]:
    return [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in panels()
        for target in panel["targets"]
    ]


@pytest.fixture
def known(tmp_path: Path) -> dict[str, set[str]]:
    """Return the labels of every sample that a daemon at work tells, by name."""
    counted = Counted(tmp_path)
    counted.figures.set_from_heartbeat(BEAT)
    counted.figures.count_finished(finished(OUTCOME), 250.0)
    labels: dict[str, set[str]] = {"up": set()}
    for family in counted.registry.collect():
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def nodes(expression: str) -> Iterator[Any]:
    found: list[Any] = []
    promql.walk(promql.parse(expression), found.append)
    yield from found


def find_unknown(expression: str, known: dict[str, set[str]]) -> list[str]:
    """Return the metrics of an expression, and labels of theirs, that do not exist."""
    unknown: list[str] = []
    of_all: set[str] = set(ADDED_BY_PROMETHEUS)
    for node in nodes(expression):
        if isinstance(node, promql.VectorSelector):
            labels = known.get(str(node.name), set()) | ADDED_BY_PROMETHEUS
            of_all |= labels
            matched = {matcher.name for matcher in node.matchers.matchers}
            unknown += [] if node.name in known else [str(node.name)]
            unknown += [f"{node.name}.{label}" for label in matched - labels]
    for node in nodes(expression):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            unknown += [label for label in node.modifier.labels if label not in of_all]
    return unknown


def test_what_does_not_exist_is_found(known: dict[str, set[str]]) -> None:
    expression = 'sum by (colour) (rate(dropload_fils_total{state="x"}[5m])) > up{job="a"}'
    assert find_unknown(expression, known) == [
        *("dropload_fils_total", "dropload_fils_total.state", "colour")
    ]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is_and_says_what_to_do(
    rule: dict[str, Any], known: dict[str, set[str]]
) -> None:
    assert find_unknown(rule["expr"], known) == []
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert DOCS.parent / page == DOCS / "runbook.md"
    headings = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert anchor in [heading.lower() for heading in headings]
    assert anchor == rule["alert"].lower()


def test_every_runbook_entry_has_its_alert() -> None:
    entries = re.findall(r"^### (Dropload\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(entries) == sorted(rule["alert"] for rule in rules())


def test_every_label_that_an_alert_prints_is_left_in_its_result() -> None:
    """What an aggregation takes away would be an empty word in a message."""
    for rule in rules():
        printed = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        assert printed <= ADDED_BY_PROMETHEUS, rule["alert"]
        for node in nodes(rule["expr"]):
            if isinstance(node, promql.AggregateExpr):
                assert node.modifier is not None
                assert node.modifier.type == promql.AggModifierType.Without, rule["alert"]


def test_every_panel_asks_for_what_there_is(known: dict[str, set[str]]) -> None:
    expressions = dashboard_expressions()
    assert len(expressions) > 20
    assert {e: find_unknown(e, known) for e in expressions if find_unknown(e, known)} == {}


def test_every_legend_names_a_label_that_its_panel_keeps(known: dict[str, set[str]]) -> None:
    for panel in panels():
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            aggregated = nodes(target["expr"].replace("$__rate_interval", "5m"))
            kept = [
                set(node.modifier.labels) if node.modifier else set()
                for node in aggregated
                if isinstance(node, promql.AggregateExpr) and str(node.op) != "topk"
            ]
            for labels in kept:
                assert named <= labels, panel["title"]


def test_every_metric_is_on_the_dashboard_or_in_an_alert(known: dict[str, set[str]]) -> None:
    expressions = " ".join([*dashboard_expressions(), *(rule["expr"] for rule in rules())])
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\w+", expressions)}
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in known}
    for_people_who_ask = {
        *("process_virtual_memory_bytes", "dropload_config_last_reload_success_timestamp_seconds")
    }
    assert told - shown == for_people_who_ask


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_guide_describes_every_metric_with_its_type_and_labels(tmp_path: Path) -> None:
    described = {
        name: (kind, set(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(
            r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", GUIDE, re.MULTILINE
        )
        if kind in TYPES
    }
    counted = Counted(tmp_path)
    counted.figures.count_finished(finished(OUTCOME), 250.0)
    there: dict[str, tuple[str, set[str]]] = {}
    for family in counted.registry.collect():
        kind = "gauge" if family.type == "info" else family.type
        ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        there[family.name + ending] = (kind, labels)
    assert described == there


def test_the_guide_names_every_value_of_a_label(tmp_path: Path) -> None:
    counted = Counted(tmp_path)
    for verdict in Verdict:
        outcome = OUTCOME.__class__(verdict, DROP.path)
        counted.figures.count_finished(finished(outcome), 250.0)
    values = {
        value
        for family in counted.registry.collect()
        for sample in family.samples
        for label, value in sample.labels.items()
        if label in ("state", "outcome", "area", "load_type", "reason", "cause", "action", "step")
    }
    assert len(values) > 20
    assert {value for value in values if f"`{value}`" not in GUIDE} == set()


def test_names_follow_the_conventions(known: dict[str, set[str]]) -> None:
    """https://prometheus.io/docs/practices/naming/"""
    for name in known.keys() - {"up"}:
        assert re.fullmatch(r"(dropload|process)_[a-z][a-z_]*[a-z]", name), name
        assert not re.search(r"_(ms|minutes|hours|kb|mb|percent)(_|$)", name), name
