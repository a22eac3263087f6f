"""What watches a relay: the dashboard, the rules, the alerts and what is written about them."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bench.monitoring.__main__ import SPAN
from bench.monitoring.dashboard import ROWS, VARIABLES, panels, plain, text
from bench.monitoring.prometheus import FILES
from relay.admin.metric import Kind
from relay.admin.metric_names import METRICS
from relay.daemon.commands.app import SUBCOMMANDS
from tests.fakes.machine import need

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "monitoring.md"
SHIPPED = ROOT / "conf" / "grafana" / "relay.json"
UNITS = {"short", "cps", "s", "bytes", "Bps", "percentunit"}
# What neither the dashboard nor a rule asks for, and why it need not be there.
LEFT_OUT = {
    "relay_info": "relay_build_info says the same and more",
    "relay_worker_cpu_seconds_total": "relay_process_cpu_seconds_total has workers too",
    "relay_worker_resident_memory_bytes": "relay_process_resident_memory_bytes has workers too",
}


@cache
def read(name: str) -> Any:
    return yaml.safe_load((FILES / name).read_text())


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in read(name)["groups"] for rule in group["rules"]]


ALERTS = {one["alert"]: one for one in rules("relay.alerts.yml")}


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    program = need("promtool", "prometheus")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=110)


# -- the dashboard ----------------------------------------------------------------------------------------


def shown() -> list[dict[str, Any]]:
    """The panels of the shipped file, those in closed rows too."""
    found = []
    for one in json.loads(SHIPPED.read_text())["panels"]:
        found += [one, *one.get("panels", ())]
    return found


def test_the_shipped_dashboard_is_made_from_the_rows() -> None:
    assert SHIPPED.read_text() == text(), (
        "run: python -m bench.monitoring.dashboard > conf/grafana/relay.json"
    )


def test_panels_say_what_they_are() -> None:
    titles = [panel.title for row in ROWS for panel in row.panels]
    assert len(set(titles)) == len(titles) > 40
    for row in ROWS:
        for panel in row.panels:
            assert panel.text.endswith("."), panel.title
            assert panel.unit in UNITS, panel.title
            assert len({query.legend for query in panel.queries}) == len(panel.queries), panel.title


def test_panels_have_their_own_place() -> None:
    found = shown()
    assert len({one["id"] for one in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for one in found:
        place = one["gridPos"]
        across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        assert across.stop <= 24
        cells = {(x, y) for x in across for y in down}
        assert not cells & taken, one["title"]
        taken |= cells


def test_every_query_goes_to_the_chosen_source() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    for one in shown():
        if one["type"] != "row":
            assert one["datasource"] == source
            assert all(target["datasource"] == source for target in one["targets"])
            assert [target["refId"] for target in one["targets"]] == sorted(
                {target["refId"] for target in one["targets"]}
            )
    names = {one["name"] for one in json.loads(SHIPPED.read_text())["templating"]["list"]}
    assert names == {"datasource", *VARIABLES}
    used = set(re.findall(r"\$\{?([a-z_]+)", SHIPPED.read_text()))
    assert used - {"__rate_interval", "__all"} == names


def test_all_variables_of_a_query_are_replaced() -> None:
    assert [query.expression for _, _, query in panels() if "$" in plain(query.expression)] == []
    assert plain('a{x=~"$instance"}[$__rate_interval]', "9s") == 'a{x=~".*"}[9s]'


def test_the_document_has_an_answer_to_every_query() -> None:
    document = (ROOT / "docs" / "dashboard.md").read_text()
    missing = [
        panel.title
        for _, panel, query in panels()
        if f"\n    {plain(query.expression, SPAN)}\n\n- " not in document
    ]
    assert missing == [], "run: make monitoring-docs"


def test_every_metric_that_there_is_is_looked_at() -> None:
    everything = "\n".join(
        [query.expression for _, _, query in panels()]
        + [one["expr"] for name in ("relay.rules.yml", "relay.alerts.yml") for one in rules(name)]
    )
    asked = set(re.findall(r"(?<![:\w])relay_[a-z0-9_]+", everything))
    there = {
        f"{one.name}_bucket" if one.kind is Kind.HISTOGRAM else one.shown_name
        for metrics in METRICS.values()
        for one in metrics
    }
    assert sorted(there - asked) == sorted(LEFT_OUT)


# -- rules and alerts -------------------------------------------------------------------------------------


def test_promtool_takes_the_files() -> None:
    ended = promtool("check", "config", str(FILES / "prometheus.yml"))  # and the rules that it names
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "WARNING" not in ended.stdout + ended.stderr
    assert f"{len(rules('relay.alerts.yml'))} rules found" in ended.stdout


def test_recorded_names_are_used_as_they_are_recorded() -> None:
    recorded = {one["record"] for one in rules("relay.rules.yml")}
    used = {
        name
        for file in ("relay.rules.yml", "relay.alerts.yml")
        for one in rules(file)
        for name in re.findall(r"\w+:relay_\w+:\w+", one["expr"])
    }
    assert used - recorded == set()


def test_every_alert_is_tested_both_ways() -> None:
    """A test has a node where the alert fires and one where it does not (for one that is about no node there
    are two tests)."""
    found: dict[str, set[bool]] = {}
    for test in read("relay.tests.yml")["tests"]:
        name = test["name"].split()[0]
        series = " ".join(one["series"] for one in test["input_series"])
        for one in test["promql_expr_test"]:
            assert f'alertname="{name}"' in one["expr"], test["name"]
            samples = [sample["labels"] for sample in one.get("exp_samples", ())]
            if 'instance="bad"' in series and 'instance="good"' in series:
                assert samples in ([], ['{instance="bad"}']), test["name"]
                found.setdefault(name, set()).update({bool(samples)} | ({False} if samples else set()))
            else:
                found.setdefault(name, set()).add(bool(samples))
    assert found == {name: {True, False} for name in ALERTS}


def test_alerts_fire_and_do_not_and_say_what_they_should(tmp_path: Path) -> None:
    """promtool runs relay.tests.yml; it is also told to expect no alert where one must fire, so that it
    prints what the alert says then."""
    tests = yaml.safe_load((FILES / "relay.tests.yml").read_text())
    tests["rule_files"] = [str(FILES / name) for name in tests["rule_files"]]
    for test in tests["tests"]:
        fires = [one for one in test["promql_expr_test"] if one.get("exp_samples")]
        test["alert_rule_test"] = [
            {"eval_time": one["eval_time"], "alertname": test["name"].split()[0], "exp_alerts": []}
            for one in fires
        ]
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump(tests))
    ended = promtool("test", "rules", str(file))
    said = ended.stdout + ended.stderr
    assert "expr: " not in said, said  # a test of relay.tests.yml failed
    got = {}
    for labels, words in re.findall(r"Labels:\{(.*)\}\n\s*Annotations:\{(.*)\}", said):
        found = dict(re.findall(r"(\w+)=\"([^\"]*)\"", labels))
        got[found["alertname"]] = found
        assert "<error" not in words, words
    assert got.keys() == ALERTS.keys(), said
    for name, labels in got.items():
        used = set(re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"])))
        assert used <= labels.keys(), f"{name} speaks of labels that it has not"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Relay")
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    words = alert["annotations"]
    assert words.keys() == {"summary", "description", "runbook"}
    assert re.search(r"`[^`]+`", words["description"]), "no command"
    assert words["runbook"] == f"docs/monitoring.md#{name.lower()}"
    when = f"after {alert['for']}" if "for" in alert else "at once"
    start = f"*{alert['labels']['severity']}*, {when}: `{' '.join(alert['expr'].split())}`"
    assert f"\n### {name}\n\n{start}\n" in DOCUMENT.read_text(), "its runbook does not begin so"


def test_the_document_has_no_alert_that_there_is_not() -> None:
    assert set(re.findall(r"^### (Relay\w+)$", DOCUMENT.read_text(), re.MULTILINE)) == ALERTS.keys()


def commands_in(words: str) -> list[list[str]]:
    """What is to be typed of ours, by word."""
    return [one.split() for one in re.findall(r"`(relay [a-z][^`]*)`", " ".join(words.split()))]


def test_commands_that_are_named_exist() -> None:
    texts = [one["annotations"]["description"] for one in ALERTS.values()]
    texts += [DOCUMENT.read_text(), *(panel.text for row in ROWS for panel in row.panels)]
    found = [words for one in texts for words in commands_in(one)]
    assert len(found) > 80
    for words in found:
        assert words[1] in SUBCOMMANDS, words
        loaded = SUBCOMMANDS[words[1]]()
        if not isinstance(loaded, typer.Typer):
            app = typer.Typer()
            app.command()(loaded)
            loaded = app
        command, rest = typer.main.get_command(loaded), words[2:]
        below = getattr(command, "commands", {})
        if below and rest:
            assert rest[0] in below, words
            command, rest = below[rest[0]], rest[1:]
        options = {option for one in command.params for option in one.opts}
        assert {one for one in rest if one.startswith("--")} <= options, words
