"""The book as a reader has it: opened from the disk in Chromium, without a network."""

import json
import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urldefrag, urlsplit

import nbformat
import pytest

from a2v_core.book import toc_files

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SCREENSHOTS = ROOT / "_build" / "screenshots"
PAGES = [*toc_files(ROOT / "book"), "search"]
NOTEBOOKS = [page.removeprefix("results/") for page in PAGES if page.startswith("results/")]
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
FACTS, CONTRAST = ((HERE / name).read_text() for name in ("page_facts.js", "page_contrast.js"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Pages that hold what is special to them: long code in words, wide tables, an interactive figure, equations.
TELLING = ["claims", "data_cards", "method", "results/obs4_latent_space", "results/table3_nasbench201"]

both_sizes = pytest.mark.parametrize("size", SIZES)


@pytest.fixture(scope="module")
def chromium():
    """Not for the session: while it runs, no other test of this process could run an event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser is installed (looked for {', '.join(BROWSERS)})")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def windows(chromium):
    """An offline browser window of each size; it keeps its tabs' addresses and errors in `asked` and `said`."""
    opened = {}
    for size, (width, height) in SIZES.items():
        context = chromium.new_context(viewport={"width": width, "height": height}, offline=True, color_scheme="light")
        context.set_default_timeout(60_000)
        tab, asked, said = context.new_page(), [], []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.on("pageerror", lambda error, said=said: said.append(str(error)))
        tab.on("console", lambda m, said=said: said.append(m.text) if m.type == "error" else None)
        opened[size] = SimpleNamespace(tab=tab, asked=asked, said=said)
    return opened


@pytest.fixture(scope="module")
def visit(windows, built_book):
    """Open a page at a size, once; returns what was seen of it. A screenshot stays in ``_build/screenshots``."""

    @cache
    def seen(page, size):
        window = windows[size]
        window.asked.clear()
        window.said.clear()
        go(window.tab, built_book, page)
        facts = window.tab.evaluate(FACTS)
        picture = SCREENSHOTS / size / f"{page.replace('/', '-')}.png"
        window.tab.screenshot(path=picture, full_page=True, clip={
            "x": 0, "y": 0, "width": SIZES[size][0], "height": 4 * SIZES[size][1]})
        return SimpleNamespace(**facts, asked=list(window.asked), said=list(window.said))

    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    return seen


@pytest.fixture
def tab(windows):
    return windows["wide"].tab


def go(tab, book, page):
    """Open a page and wait until its equations and interactive figures are drawn."""
    tab.goto((book / f"{page}.html").as_uri(), wait_until="load")
    tab.wait_for_function("() => ![...document.querySelectorAll('.latent-map')].some((m) => !m.querySelector('p'))")
    tab.evaluate("async () => { if (window.MathJax?.startup?.promise) await MathJax.startup.promise; }")


def on_disk(address):
    return Path(unquote(urlsplit(address).path))


@both_sizes
@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_errors_and_without_a_network(visit, page, size):
    seen = visit(page, size)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert seen.broken == []
    assert len(seen.ids) > 10


@both_sizes
@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wider_than_the_window(visit, page, size):
    seen = visit(page, size)
    assert (seen.wide, seen.overflowing) == (0, [])


@pytest.mark.parametrize("page", PAGES)
def test_headings_are_in_order(visit, page):
    if page.startswith("results/") and is_older(page.removeprefix("results/")):
        pytest.skip("the committed page is older than its notebook")
    headings = visit(page, "wide").headings
    levels = [level for level, _ in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    jumps = [text for before, (level, text) in zip(levels, headings[1:], strict=False) if level > before + 1]
    assert jumps == []


def is_older(name):
    """Whether code of a notebook has changed since the committed page was made."""
    made, now = (nbformat.read(ROOT / folder / f"{name}.ipynb", 4) for folder in ("book/results", "notebooks"))
    sources = {cell.source for cell in made.cells}
    return any(cell.source not in sources for cell in now.cells if cell.cell_type == "code")


def test_every_link_inside_the_book_leads_somewhere(visit, built_book):
    places = {page: set(visit(page, "wide").ids) for page in PAGES}
    lost = []
    for page in PAGES:
        for link in visit(page, "wide").links:
            address, anchor = urldefrag(link)
            if not address.startswith("file:"):
                continue
            path = on_disk(address)
            target = path.relative_to(built_book).with_suffix("").as_posix() if path.is_relative_to(built_book) else ""
            if not path.is_file() or (anchor and target in places and unquote(anchor) not in places[target]):
                lost.append((page, link))
    assert lost == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_small(visit, built_book, page):
    images = {on_disk(address) for address in visit(page, "wide").images if address.startswith("file:")}
    weight = sum(path.stat().st_size for path in [built_book / f"{page}.html", *images])
    assert weight < 2_000_000, f"{weight / 1e6:.1f} MB"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", TELLING)
def test_texts_stand_out_from_their_ground(tab, built_book, page, scheme):
    tab.emulate_media(color_scheme=scheme)
    go(tab, built_book, page)
    tab.add_style_tag(content="* { transition: none !important; }")  # colours as they are in the end
    assert tab.evaluate("document.documentElement.dataset.theme") == scheme
    assert tab.evaluate(CONTRAST) == []
    # The measure itself: a text that is hardly there is found.
    tab.evaluate("document.querySelector('.bd-article p').style.color = 'rgba(127, 127, 127, 0.3)'")
    assert any("127, 127, 127" in found for found in tab.evaluate(CONTRAST))
    tab.emulate_media(color_scheme="light")


def test_the_sidebar_navigates(windows, built_book):
    for size, window in windows.items():
        go(window.tab, built_book, "intro")
        if size == "narrow":
            window.tab.locator("button.primary-toggle").first.click()
        window.tab.locator(".bd-sidebar-primary nav a:visible", has_text="Observation 3").click()
        window.tab.wait_for_url("**/results/obs3_edit_distance.html")
        assert "edit distance" in window.tab.locator("main h1:visible").inner_text()


def test_the_search_finds(tab, built_book):
    go(tab, built_book, "intro")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("edit distance")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=edit*")
    results = tab.locator("ul.search li a")
    results.first.wait_for()
    tab.wait_for_function("() => /finished/i.test(document.querySelector('#search-results p').textContent)")
    assert any("obs3_edit_distance.html" in link.get_attribute("href") for link in results.all())


def test_the_latent_map_answers_to_the_pointer_and_to_the_keyboard(tab, built_book):
    go(tab, built_book, "results/obs4_latent_space")
    box = tab.locator(".latent-map")
    box.scroll_into_view_if_needed()
    said, drawn, number = box.locator("p"), box.locator(".drawing svg"), box.get_by_label("Cell", exact=True)
    assert "test accuracy" in said.inner_text()
    first, place = said.inner_text(), box.locator(".plot .nsewdrag").bounding_box()
    for step in range(1, 40):  # across the middle of the cloud of points
        tab.mouse.move(place["x"] + place["width"] * (0.2 + 0.015 * step), place["y"] + place["height"] / 2)
        tab.wait_for_timeout(30)
        if said.inner_text() != first:
            break
    assert said.inner_text() != first
    assert drawn.get_attribute("aria-label") in said.inner_text()
    tab.mouse.move(0, 0)
    number.fill("2")
    by_number = said.inner_text()
    assert by_number != first
    nodes = by_number.split("Nodes: ")[1].split(". Edges")[0].split(", ")
    assert box.locator(".drawing rect").count() == len(nodes)
    box.locator("select").select_option(index=1)
    assert said.inner_text() == by_number


def column(table, number):
    cells = [row.locator("th, td").nth(number).inner_text() for row in table.locator("tbody tr").all()]
    return [text.replace("\u00a0", " ").strip() for text in cells]


def test_the_table_of_verdicts_sorts(tab, built_book):
    go(tab, built_book, "claims")
    table = tab.locator("table.sortable").first
    printed, total = column(table, 1), column(table, 0)[-1]
    head = table.locator("th").nth(1)
    head.locator("button").click()
    counts = [int(text) for text in column(table, 1)[:-1] if text]
    assert head.get_attribute("aria-sort") == "ascending"
    assert counts == sorted(counts)
    assert sorted(column(table, 1)) == sorted(printed)
    tab.keyboard.press("Enter")  # the button has the focus
    counts = [int(text) for text in column(table, 1)[:-1] if text]
    assert head.get_attribute("aria-sort") == "descending"
    assert counts == sorted(counts, reverse=True)
    assert column(table, 0)[-1] == total == "All claims"
    tab.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert column(table, 1) == printed


def test_the_tables_of_results_sort(visit, tab, built_book):
    for page in (page for page in PAGES if page.startswith("results/")):
        go(tab, built_book, page)
        long = tab.locator(".bd-article table:has(tbody tr:nth-child(3))")
        assert long.count() == tab.locator(".bd-article table.sortable").count() > 0


NUMBERS = ["93.75 ± 0.37", "\u22120.02 [\u22120.05, 0.01]", "+0.5", "<strong>1,234</strong>", "12\u2009345", "98.7 %",
           "-", "1e-05", "2 min 3 s", "", "< 0.001", "n. a."]
ASCENDING = ["\u22120.02 [\u22120.05, 0.01]", "1e-05", "< 0.001", "+0.5", "93.75 ± 0.37", "98.7 %", "2 min 3 s",
             "1,234", "12\u2009345", "n. a.", "-", ""]


def made_table(tab, rows, head="<tr><th>what</th></tr>"):
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    tab.goto("about:blank")
    tab.set_content(f"<article class=bd-article><table><thead>{head}</thead><tbody>{body}</tbody></table></article>")
    tab.add_script_tag(path=ROOT / "book" / "_static" / "sort_tables.js")
    return tab.locator("table")


def test_columns_sort_by_the_numbers_in_them(tab):
    table = made_table(tab, [f"<td>{text}</td>" for text in NUMBERS])
    table.locator("button").click()
    assert column(table, 0) == ASCENDING
    table.locator("button").click()
    assert column(table, 0) == [*ASCENDING[8::-1], *ASCENDING[9:]]


def test_an_interval_and_a_deviation_stay_on_one_line(tab):
    table = made_table(tab, ["<td>93.75 ± 0.37 [93.70, 93.80]</td>", "<td>a ± b, c</td>", "<td>1</td>"])
    assert table.locator("td").first.inner_text() == "93.75\u00a0±\u00a00.37 [93.70,\u00a093.80]"


def test_columns_of_words_sort_as_words(tab):
    words = ["arch2vec-RL", "BOHB", "arch2vec-BO", "10 cells", "9 cells"]
    table = made_table(tab, [f"<td>{text}</td>" for text in words])
    table.locator("button").click()
    assert column(table, 0) == ["9 cells", "10 cells", "arch2vec-BO", "arch2vec-RL", "BOHB"]


def test_a_cell_over_several_rows_goes_with_each_of_them_and_comes_back(tab):
    rows = ["<th rowspan=2>A</th><td>3</td>", "<td>1</td>", "<th rowspan=2>B</th><td>2</td>", "<td>4</td>"]
    table = made_table(tab, rows, "<tr><th>group</th><th></th></tr><tr><th></th><th>value</th></tr>")
    value = table.get_by_role("button", name="value")
    value.click()
    assert column(table, 0) == ["A", "B", "A", "B"]
    assert column(table, 1) == ["1", "2", "3", "4"]
    value.click()
    value.click()
    assert table.locator("tbody [rowspan]").count() == 2


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_download_button_gives_the_notebook(tab, built_book, name):
    go(tab, built_book, f"results/{name}")
    tab.get_by_role("button", name="Download this page").click()
    link = tab.locator("a.btn-download-source-button")
    assert link.is_visible()
    served = on_disk(link.evaluate("link => link.href"))
    assert json.loads(served.read_text()) == json.loads((ROOT / "book" / "results" / f"{name}.ipynb").read_text())
