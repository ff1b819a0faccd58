"""Alert rules and dashboard ask for what the service tells, and the rules do what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.webapp.api_home import Api, running
from tests.webapp.attempts import write
from webapp import jobs, pools
from webapp.admission import admit
from webapp.metrics import page

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "jobrunner.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "jobrunner.json"
_NAME = re.compile(r"\bjobrunner_[a-z_]+")
# Names that begin like one of a metric but are labels.
_LABELS = {"jobrunner_instance"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Api]:
    """A service in which a bit of everything has happened."""
    folder = tmp_path_factory.mktemp("monitoring")
    (folder / "service.db").write_bytes(sqlite_template.read_bytes())
    with running(folder, f"sqlite:///{folder / 'service.db'}") as api:
        with api.service.db.write() as session:
            pools.register(session, pool="default", slots=1, cores=8, mem_mb=8000)
        job_id, _, _ = api.job(), api.job(), api.job()
        write(api.service, job_id, kind="status", status="running")
        for status in ("running", "succeeded"):
            write(api.service, job_id, kind="stage", stage="first", status=status, attempt=1)
        write(api.service, job_id, kind="attempt", status="failed", attempt=1)
        write(api.service, job_id, kind="status", status="failed")
        jobs.take_over(api.service, job_id)
        admit(api.service)
        yield api


def told(api: Api) -> dict[str, set[str]]:
    """Give the names of all series of the page, with their labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page(api.service).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def expressions() -> list[str]:
    """Give everything that rules and dashboard ask for."""
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    variables = [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    return [rule["expr"] for rule in rules()] + panels + variables


def promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool: install the Debian package prometheus")
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, cwd=RULES.parent
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_metric_that_is_asked_for_is_told(api: Api) -> None:
    known = told(api)
    for expression in expressions():
        names = set(_NAME.findall(expression)) - _LABELS
        assert names, expression
        assert names <= known.keys(), expression


def test_each_label_that_is_asked_for_is_one_of_the_metric(api: Api) -> None:
    known = told(api)
    for expression in expressions():
        for name, matchers in re.findall(r"(jobrunner_[a-z_]+)\{([^}]*)\}", expression):
            asked = set(re.findall(r"(\w+)=", matchers))
            assert asked <= known[name], expression


def test_what_the_page_has_is_on_the_dashboard(api: Api) -> None:
    shown = " ".join(expressions())
    families = text_string_to_metric_families(page(api.service).decode())
    assert [family.name for family in families if family.name not in shown] == []


def test_promtool_finds_the_rules_right() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", RULES.name)


def test_the_rules_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", "jobrunner.rules.test.yml")


def test_each_rule_is_tested_and_tells_people_what_is_wrong() -> None:
    tests = yaml.safe_load((RULES.parent / "jobrunner.rules.test.yml").read_text())["tests"]
    tested = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert {rule["alert"] for rule in rules()} == tested
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_promtool_reads_the_page(api: Api) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool: install the Debian package prometheus")
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page(api.service), capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
