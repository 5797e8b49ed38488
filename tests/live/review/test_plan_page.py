"""The web page of a plan in a real browser: searched, filtered, its graph clicked, by keyboard, in the dark, on paper."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.pull_request import SECRET
from fakes.pull_request import pull_request as plan_with_everything
from live.review.conftest import PullRequest

from mlinfra.cli.formats.html import plan_html
from mlinfra.model.change import Action, Change
from mlinfra.model.plan import Plan
from mlinfra.model.values import freeze

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("pull_request")]
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NASTY = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if not BROWSER or not DRIVER:
        pytest.skip("there is no Chromium here (apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    profile = tmp_path_factory.mktemp("browser")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    return opened(browser, tmp_path, plan_with_everything())


def opened(browser: Any, folder: Path, plan: Plan) -> Any:
    file = folder / "plan.html"
    text = plan_html(plan)
    assert SECRET not in text
    file.write_text(text, encoding="utf-8")
    browser.get(file.as_uri())
    browser.execute_script("localStorage.clear()")
    browser.refresh()
    return browser


def shown(page: Any) -> list[str]:
    """The names of the changes that can be seen."""
    script = "return [...document.querySelectorAll('.change:not([hidden]) .name')].map((e) => e.textContent)"
    found: list[str] = page.execute_script(script)
    return found


def text(page: Any, selector: str) -> str:
    return str(page.find_element("css selector", selector).text)


def press(page: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    chain = ActionChains(page)
    for key in keys:
        chain.send_keys(key)
    chain.perform()


def test_the_page_of_a_real_pull_request_is_searched_filtered_and_clicked(browser: Any, pull_request: PullRequest) -> None:
    """The example's, as the command wrote it; the other tests open one that holds everything a page can show."""
    browser.get((pull_request.folder / "plan.html").as_uri())
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
    assert browser.title == "tickets/prod: plan" and "40,515.00" in text(browser, ".tile.cost")
    assert "CHG-4711" in text(browser, ".callout") and shown(browser)[0] == "tickets" and len(shown(browser)) >= 10
    press(browser, "/", "InstanceType p5.48xlarge")
    assert shown(browser) == ["gpus.template"]
    browser.find_element("css selector", "#clear").click()
    browser.find_element("css selector", ".chip[data-value=costs_money]").click()
    assert shown(browser) == ["gpus.head", "gpus"]
    browser.find_element("css selector", "#clear").click()
    browser.find_element("css selector", '.node[data-name="router"] rect').click()
    assert text(browser, "#say").startswith("router (model) comes from ") and "api" in text(browser, "#say")


def test_the_page_loads_nothing_and_complains_of_nothing(page: Any) -> None:
    assert [entry for entry in page.get_log("browser") if entry["level"] != "INFO"] == []
    asked = page.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert asked == []
    assert page.title == "tickets/prod: plan" and text(page, ".pill") == "destroys data"
    assert text(page, ".tile.to-add b") == "3" and "8,511.96" in text(page, ".tile.cost")


def test_search_narrows_down_marks_what_it_found_and_can_be_undone(page: Any) -> None:
    everything = shown(page)
    assert everything[:3] == ["tickets", 'scratch["old|notes"]', "api"] and len(everything) == 8
    press(page, "/", "embedding dim")
    assert shown(page) == ["tickets"]
    assert "1 of 8 changes shown" in text(page, "#found")
    assert {m.text for m in page.find_elements("css selector", "mark")} == {"embedding", "dim"}
    from selenium.webdriver.common.keys import Keys

    press(page, Keys.ESCAPE)
    assert shown(page) == everything and page.find_elements("css selector", "mark") == []


def test_filters_by_risk_and_action_add_up(page: Any) -> None:
    def chip(value: str) -> Any:
        return page.find_element("css selector", f".chip[data-value={value}]")

    chip("destroys_data").click()
    assert shown(page) == ["tickets", 'scratch["old|notes"]']
    chip("replace").click()
    assert shown(page) == ["tickets"] and chip("replace").get_attribute("aria-pressed") == "true"
    chip("replace").click()
    chip("interrupts_serving").click()
    assert shown(page) == ["tickets", 'scratch["old|notes"]', "api"]
    page.find_element("css selector", "#clear").click()
    assert len(shown(page)) == 8


def test_a_click_on_the_graph_shows_what_feeds_what_and_only_its_changes(page: Any) -> None:
    page.find_element("css selector", '.node[data-name="features"] rect').click()
    assert shown(page) == ["features"]
    said = text(page, "#say")
    assert said.startswith("features (data_pipeline) comes from ") and "raw" in said and "leads to" in said and "api" in said
    on = {n.get_attribute("data-name") for n in page.find_elements("css selector", ".node.on")}
    assert {"raw", "corpus", "router", "api"} <= on and "gpus" not in on
    page.find_element("css selector", '.node[data-name="features"] rect').click()
    assert len(shown(page)) == 8 and "Choose a node" in text(page, "#say")


def test_the_graph_zooms_and_comes_back(page: Any) -> None:
    svg = page.find_element("css selector", "#graph")
    whole = svg.get_dom_attribute("viewBox")
    page.find_element("css selector", "#zoom-in").click()
    assert float(svg.get_dom_attribute("viewBox").split()[2]) < float(whole.split()[2])
    page.find_element("css selector", "#zoom-fit").click()
    assert [float(n) for n in svg.get_dom_attribute("viewBox").split()] == [float(n) for n in whole.split()]


def test_everything_can_be_done_by_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    press(page, "j", "j", "j")
    assert text(page, ".change.is-selected .name") == "api"
    press(page, Keys.ENTER)
    assert page.find_element("css selector", ".change.is-selected").get_attribute("open") is not None
    press(page, "k")
    assert text(page, ".change.is-selected .name") == 'scratch["old|notes"]'
    press(page, "e")
    assert len(page.find_elements("css selector", ".change[open]")) == 8
    press(page, "g")
    assert page.switch_to.active_element.get_attribute("class").startswith("node")
    press(page, Keys.ENTER)
    assert len(page.find_elements("css selector", ".node.is-selected")) == 1
    press(page, Keys.ESCAPE, "?")
    assert page.find_element("css selector", "#help").is_displayed()
    press(page, Keys.ESCAPE)
    assert not page.find_element("css selector", "#help").is_displayed()


def test_light_and_dark_follow_the_system_until_a_person_chooses(page: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    def becomes(color: str) -> None:
        WebDriverWait(page, 20).until(
            lambda p: p.execute_script("return getComputedStyle(document.body).backgroundColor") == color
        )

    def system(name: str) -> None:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    light, dark = "rgb(246, 247, 249)", "rgb(15, 18, 23)"
    system("dark")
    becomes(dark)
    system("light")
    becomes(light)
    page.find_element("css selector", "#theme").click()
    becomes(dark)
    page.refresh()
    becomes(dark)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_text_can_be_read_in_both_themes(page: Any) -> None:
    """WCAG's contrast, of every colour that text has on what lies behind it."""
    script = """
      const lum = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((v) => {
          const part = v / 255;
          return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const behind = (e) => {
        for (; e; e = e.parentElement) {
          const color = getComputedStyle(e).backgroundColor;
          if (!/, 0\\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
      };
      document.querySelectorAll("details").forEach((d) => { d.open = true; });
      const written = (e) => !e.closest("svg") && e.offsetParent && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
      return [...document.querySelectorAll("main *, header *, footer *")].filter(written).map((e) => {
        const [a, b] = [lum(getComputedStyle(e).color), lum(behind(e))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), `${e.className}: ${e.textContent.slice(0, 40)}`];
      }).filter(([contrast]) => contrast < 4.5);
    """
    assert page.execute_script(script) == []
    press(page, "t")
    assert page.execute_script(script) == []


def test_it_prints_every_change_open_on_light_paper(page: Any) -> None:
    press(page, "t")
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type/Page") >= 1
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert len(page.find_elements("css selector", ".change[open]")) == 8
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.find_element("css selector", ".find").is_displayed()
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(page.find_elements("css selector", ".change[open]")) == 2
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_nothing_that_a_plan_holds_runs_in_the_page(browser: Any, tmp_path: Path) -> None:
    change = Change(
        action=Action.CREATE, address=NASTY, type=NASTY, provider="p", kind=NASTY, component=NASTY,
        after=freeze({"a": NASTY, NASTY: [NASTY]}), reason=NASTY,
    )  # fmt: skip
    page = opened(browser, tmp_path, Plan(changes=(change,), project=NASTY, environment=NASTY, needs={NASTY: (NASTY,)}))
    assert page.title.startswith("</script>") and "plan" in page.title
    assert page.find_elements("css selector", "main img, main script") == []
    assert shown(page) == [NASTY]


def test_a_plan_of_two_thousand_changes_is_still_searched_at_once(browser: Any, tmp_path: Path) -> None:
    made = [
        Change(
            action=Action.CREATE, address=f"item{i}", type="local.data", provider="local", after=freeze({"input": f"value {i}"})
        )
        for i in range(2000)
    ]
    needs = {f"item{i}": (f"item{i // 3}",) for i in range(1, 2000)}
    page = opened(browser, tmp_path, Plan(changes=tuple(made), project="many", needs=needs))
    press(page, "/", "item1234")
    assert shown(page) == ["item1234"]
    assert "1,850 components" in text(page, "#lineage")


def test_a_plan_without_changes_has_a_page(browser: Any, tmp_path: Path) -> None:
    page = opened(browser, tmp_path, Plan(project="quiet"))
    assert "No changes" in text(page, "main") and text(page, ".pill") == "no changes"
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
