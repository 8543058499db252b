"""The page in a real browser: it sorts, filters, says nothing in the console and asks for nothing. Skips where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune.report import parse_limits, write_report
from tests.finetune.report.comparison_maker import make_comparison

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright (pip install playwright)")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (on Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_comparison(tmp_path_factory.mktemp("browser") / "c"), parse_limits("30ms", "5M"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390])
def opened(request: pytest.FixtureRequest, browser: Any, page_file: Path) -> Iterator[tuple[Any, list[str], list[str]]]:
    page = browser.new_page(viewport={"width": request.param, "height": 800})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda call: asked.append(call.url))
    page.goto(page_file.as_uri())
    yield page, said, asked
    page.close()


def column(page: Any, title: str) -> list[str]:
    titles = page.locator("#candidates th button").all_inner_texts()
    return page.evaluate("column => [...document.querySelector('#candidates').tBodies[0].rows].map(row => row.cells[column].dataset.value)", titles.index(title))


def test_it_is_quiet_and_asks_for_nothing(opened: tuple[Any, list[str], list[str]], page_file: Path) -> None:
    page, said, asked = opened
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".panels svg").count() == 36  # six pictures, truth and five candidates
    assert page.locator(".answer .first").bounding_box()["y"] < 120


def test_it_sorts_both_ways_with_unknown_last(opened: tuple[Any, list[str], list[str]]) -> None:
    page, said, _ = opened
    for title in ("latency", "AP", "parameters"):
        button = page.locator("#candidates th button", has_text=title).first
        button.click()
        first = column(page, title)
        button.click()
        second = column(page, title)
        numbers, backwards = ([float(value) for value in values if value] for values in (first, second))
        assert numbers in (sorted(numbers), sorted(numbers, reverse=True))
        assert backwards == numbers[::-1]
        assert len(numbers) == 5
        assert first[-1] == second[-1] == ""
    assert said == []


def test_limits_choose_another_candidate(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    page.fill("input[name=latency]", "10")
    page.fill("input[name=params]", "")
    assert page.locator("#limit-answer").inner_text().startswith("Take lcnet_050: AP")
    assert page.locator("tr.over").count() == 5
    page.fill("input[name=latency]", "1")
    assert page.locator("#limit-answer").inner_text() == "No candidate keeps this."


def test_marks_can_be_hidden(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    assert page.locator(".panels polygon.right").first.is_visible()
    page.uncheck("input[data-shows=right]")
    assert not page.locator(".panels polygon.right").first.is_visible()
