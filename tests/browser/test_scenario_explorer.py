"""The example application in a real browser: submit, list, follow, and see what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.explorer import Explorer, explorer
from tests.webapp.running import Running, until
from webapp import jobs

pytestmark = pytest.mark.xdist_group("browser")  # they share a service
WAITS = 'while [ ! -e "{gate}" ]; do sleep 0.05; done'


@pytest.fixture(scope="module")
def example(running_service: Running) -> Iterator[Explorer]:
    with explorer(running_service) as found:
        yield found


@pytest.fixture
def page(browser: Chrome, example: Explorer, running_service: Running) -> Chrome:
    """The page, once the list of jobs is empty: all jobs of other tests are gone."""
    for job_id in running_service.statuses():
        jobs.delete(running_service.service, job_id)
    browser.get_log("browser")
    browser.get(example.url)
    until(lambda: _text(browser, "#live") == "live", "the page is live", 30)
    until(lambda: browser.find_elements(By.CSS_SELECTOR, ".field"), "the form is drawn", 30)
    browser.execute_script("window.notReloaded = true")
    return browser


def _text(page: Chrome, selector: str) -> str:
    return page.find_element(By.CSS_SELECTOR, selector).text


def _problem(page: Chrome, pointer: str) -> str:
    """Give what is said to be wrong with a field."""
    found = page.find_elements(By.CSS_SELECTOR, f'[data-pointer="{pointer}"] .problem')
    return " ".join(element.text for element in found)


def _jobs(page: Chrome) -> list[WebElement]:
    return page.find_elements(By.CSS_SELECTOR, "#jobs > li")


def _has(page: Chrome, status: str) -> bool:
    return bool(page.find_elements(By.CSS_SELECTOR, f"#jobs > li[data-status={status}]"))


def _submit(page: Chrome, file: Path | None, **params: str) -> None:
    if file is not None:
        page.find_element(By.ID, "inputs-text").send_keys(str(file))
    for name, value in params.items():
        page.find_element(By.ID, f"params-{name}").send_keys(value)
    page.find_element(By.ID, "submit").click()


def _words(folder: Path, name: str = "words.txt") -> Path:
    path = folder / name
    path.write_text("one two\n")
    return path


def _assert_quiet(page: Chrome) -> None:
    """Nothing failed in the page but requests that were refused, or for jobs of other tests."""
    log = [entry["message"] for entry in page.get_log("browser")]
    expected = ("status of 422", "status of 404")
    assert [line for line in log if not any(words in line for words in expected)] == []


def test_a_job_is_submitted_listed_and_seen_to_succeed_without_a_reload(
    page: Chrome, example: Explorer, running_service: Running, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    _submit(page, _words(tmp_path), command=WAITS.format(gate=gate))
    until(lambda: _has(page, "running"), "it is seen to run", 60)
    (job,) = _jobs(page)
    assert "words.txt" in job.text
    assert page.find_element(By.ID, "inputs-text").get_attribute("value") == ""
    gate.touch()
    until(lambda: _has(page, "succeeded"), "it is seen to succeed", 60)
    assert page.execute_script("return window.notReloaded") is True
    (row,) = running_service.statuses()
    assert running_service.row(row).user == "jane"
    assert running_service.row(row).instance == "explorer"
    _assert_quiet(page)


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_submitted(
    page: Chrome, running_service: Running, tmp_path: Path
) -> None:
    _submit(page, _words(tmp_path, "words.xlsx"))
    assert ".txt" in until(lambda: _problem(page, "/inputs/text"), "the file is refused", 30)
    _submit(page, _words(tmp_path), word="much too long a word")
    assert "long" in until(lambda: _problem(page, "/params/word"), "the word is refused", 30)
    assert _problem(page, "/inputs/text") == ""
    assert running_service.statuses() == {}
    page.find_element(By.ID, "params-word").clear()
    _submit(page, None, word="short")
    until(lambda: _has(page, "succeeded"), "what was put right is taken", 60)
    assert page.find_elements(By.CSS_SELECTOR, ".problem") == []
    _assert_quiet(page)


def test_a_job_that_fails_says_why(page: Chrome, tmp_path: Path) -> None:
    _submit(page, _words(tmp_path), command="echo '<b>broken</b>'; exit 3")
    until(lambda: _has(page, "failed"), "it is seen to fail", 60)
    assert "second" in _text(page, "#jobs .error").lower()
    assert page.find_elements(By.CSS_SELECTOR, "#jobs b") == []  # texts are never markup
    _assert_quiet(page)


def test_no_browser_ever_sees_the_token(page: Chrome, example: Explorer, tmp_path: Path) -> None:
    _submit(page, _words(tmp_path))
    until(lambda: _has(page, "succeeded"), "it succeeds", 60)
    names = page.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert all(name.startswith(f"{example.url}/") for name in names if name[:5] != "data:")
    for path in ("", *(name.removeprefix(f"{example.url}/") for name in set(names))):
        if not path.endswith("changes") and not path.startswith("data:"):
            fetched = page.execute_async_script(
                "fetch(arguments[0]).then((a) => a.text()).then(arguments[1])", f"/{path}"
            )
            assert fetched
            assert example.token not in fetched
    assert example.token not in example.output.read_text()
