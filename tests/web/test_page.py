"""Every flow of the web page in real Chromium, with a real server and real images."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from PIL import Image, ImageDraw, ImageOps
from playwright.sync_api import Browser, Locator, Page, Request, expect

from lookalike.demo.catalog import draw_catalog
from lookalike.index import Index
from tests.support.api_server import options, running
from tests.support.browser import NARROW, WIDE, Watched, chromium, screenshot, violations, watched
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import draw, folder_of, scene

expect.set_options(timeout=20_000)

Open = Callable[..., AbstractContextManager[Watched]]

# Retries, because on a busy machine a click may come before the page is ready for it.
pytestmark = [pytest.mark.slow, pytest.mark.flaky(reruns=2)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn catalog, and a few scenes with copies."""
    folder = tmp_path_factory.mktemp("page")
    draw_catalog(folder / "catalog", count=200)
    copies = folder / "copies"
    copies.mkdir()
    for i in range(3):
        scene(i).save(copies / f"scene{i}.jpg", quality=92)
        scene(i).resize((360, 270)).save(copies / f"scene{i} small.jpg", quality=80)
    ImageOps.mirror(scene(0)).save(copies / "scene0 mirror.jpg", quality=85)
    sale = scene(1)
    ImageDraw.Draw(sale).rectangle((40, 300, 240, 340), fill="white")
    sale.save(copies / "scene1 sale.jpg", quality=90)
    return folder


@pytest.fixture(scope="module")
def address(images: Path) -> Iterator[str]:
    """The address of a service with an index of these images."""
    with Index.open(images / "index", model="built-in", threads=1) as index:
        index.add(images / "catalog", metadata=images / "catalog" / "catalog.csv")
        index.add(images / "copies")
        served = options(images / "state", roots=(images,))
        with running(index, served) as (_, at):
            yield at


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Open:
    """A function that opens a page of the service."""
    return lambda **options: watched(browser, address, **options)


@pytest.fixture
def query(tmp_path: Path) -> Path:
    path = tmp_path / "query.png"
    draw(2).save(path)
    return path


def cards(page: Page) -> Locator:
    return page.locator(".card[data-id]")


def settled(page: Page) -> list[str]:
    """The ids shown, once the results have loaded."""
    expect(page.locator(".grid")).to_have_attribute("aria-busy", "false")
    shown: list[str] = cards(page).evaluate_all("cards => cards.map((card) => card.dataset.id)")
    return shown


SHOWN = """([ids, equal]) => {
  const cards = [...document.querySelectorAll(".card[data-id]")];
  const shown = cards.map((card) => card.dataset.id);
  const busy = document.querySelector(".grid")?.getAttribute("aria-busy");
  return busy === "false" && (JSON.stringify(shown) === JSON.stringify(ids)) === equal;
}"""


def changed(page: Page, before: list[str]) -> list[str]:
    """The ids shown, once they differ from `before`: the address changes a moment earlier."""
    page.wait_for_function(SHOWN, arg=[before, False])
    return settled(page)


def restored(page: Page, ids: list[str]) -> None:
    """Waits until exactly these ids are shown."""
    page.wait_for_function(SHOWN, arg=[ids, True])


def start(seen: Watched, path: str = "/") -> Page:
    seen.page.goto(path)
    settled(seen.page)
    return seen.page


def drop(page: Page, event: str, path: Path) -> None:
    """Drops or pastes a file, as the system does."""
    page.evaluate(
        """([event, data, name]) => {
          const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], name, { type: "image/png" }));
          const made = event === "paste"
            ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
            : new DragEvent(event, { dataTransfer: transfer, bubbles: true, cancelable: true });
          document.body.dispatchEvent(made);
        }""",
        [event, base64.b64encode(path.read_bytes()).decode(), path.name],
    )


# --- searching ------------------------------------------------------------------------------


def test_everything_is_shown_at_first_and_loads_on(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen)
        first = settled(page)
        assert len(first) == len(set(first)) == 18
        screenshot(page, "browse", tmp_path)
        cards(page).last.scroll_into_view_if_needed()
        expect(cards(page).nth(65)).to_be_attached()
        assert seen.layout_shift() < 0.05


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_picture_is_searched_by(opened: Open, query: Path, way: str, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen)
        before = settled(page)
        if way == "choose":
            with page.expect_file_chooser() as choice:
                page.get_by_role("button", name="Choose an image").click()
            choice.value.set_files(query)
        else:
            if way == "drop":
                drop(page, "dragenter", query)
                expect(page.get_by_text("Drop to search")).to_be_visible()
            drop(page, way, query)
        page.wait_for_url("**/?upload=*")
        expect(page.get_by_role("heading", name="Similar to the image")).to_be_visible()
        changed(page, before)
        expect(page.locator(".tile-image img")).to_be_visible()
        assert seen.layout_shift() < 0.05
        screenshot(page, f"picture-{way}", tmp_path)


def test_a_part_of_the_picture_is_searched_by_keys_and_by_pointer(
    opened: Open, query: Path, tmp_path: Path
) -> None:
    with opened() as seen:
        page = start(seen)
        drop(page, "drop", query)
        page.wait_for_url("**/?upload=*")
        whole = settled(page)
        page.get_by_role("button", name="Crop your image").click()
        part = page.locator(".crop-region")
        part.focus()
        for key in ("ArrowUp", "ArrowLeft", "Shift+ArrowDown"):
            page.keyboard.press(key)
        screenshot(page, "part", tmp_path)
        assert violations(page) == []
        page.get_by_role("button", name="Search this region").click()
        page.wait_for_url("**crop=0.23%2C0.23%2C0.5%2C0.52*")
        expect(page.get_by_role("heading", name="Similar to the cropped image")).to_be_visible()
        changed(page, whole)

        page.get_by_role("button", name="Crop your image").click()
        box = page.locator(".crop-surface").bounding_box()
        assert box is not None
        x, y = box["x"], box["y"]
        page.mouse.move(x + 0.05 * box["width"], y + 0.05 * box["height"])
        page.mouse.down()
        page.mouse.move(x + 0.15 * box["width"], y + 0.2 * box["height"], steps=4)
        page.mouse.up()
        page.get_by_role("button", name="Search this region").click()
        page.wait_for_url("**crop=0.0*")


def test_words_of_the_built_in_model_are_completed(opened: Open) -> None:
    with opened() as seen:
        page = start(seen)
        words = page.get_by_label("Text", exact=True)
        words.press_sequentially("striped dre", delay=30)
        expect(page.locator("datalist option[value='striped dress']")).to_have_count(1)
        words.fill("striped dress")
        page.wait_for_url("**text=striped*")
        settled(page)


def test_colors_are_picked_with_shares(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen)
        listing = settled(page)
        page.get_by_role("button", name="Colors", exact=True).click()
        page.get_by_role("button", name="blue", exact=True).click()
        page.wait_for_url("**/?color=blue")
        blue = changed(page, listing)
        page.get_by_role("button", name="white", exact=True).click()
        page.wait_for_url("**color=white*")
        expect(page.get_by_role("heading", name="In blue and white")).to_be_visible()
        changed(page, blue)
        share = page.get_by_role("slider", name="Share of white")
        share.focus()
        page.keyboard.press("Home")
        page.wait_for_url("**color=white%3D0.05*")
        page.wait_for_load_state("networkidle")
        assert violations(page) == []
        screenshot(page, "colors", tmp_path)
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Colors", exact=True)).to_be_focused()


def test_weights_and_presets_change_the_order(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen, "/?id=shirt-005")
        meaning = settled(page)
        assert "shirt-005" not in meaning
        page.get_by_role("button", name="Color", exact=True).click()
        page.wait_for_url("**weights=color*")
        color = changed(page, meaning)
        slider = page.get_by_role("slider", name="Texture")
        slider.focus()
        page.keyboard.press("End")
        page.wait_for_url("**texture%3D1*")
        changed(page, color)
        screenshot(page, "weights", tmp_path)


def test_filters_count_react_and_are_text(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen)
        side = sidebar(page)
        first = side.get_by_role("group", name="Category").locator(".check").first
        kind = first.locator("span").inner_text()
        count = int(first.locator("em").inner_text())
        brands = side.get_by_role("group", name="Brand").locator("em").all_inner_texts()
        first.get_by_role("checkbox").click()  # `check` does not wait for the server
        page.wait_for_url(f"**where=category*{kind}*")
        expect(first.get_by_role("checkbox")).to_be_checked()
        expect(page.locator(".results-head p")).to_have_text(f"{count} images")
        assert len(settled(page)) == min(count, 18)
        expect(side.get_by_role("group", name="Brand").locator("em").first).not_to_have_text(
            brands[0]
        )

        top = side.get_by_role("slider", name="Price, to")
        top.focus()
        for _ in range(7):
            page.keyboard.press("PageDown")
        page.wait_for_url("**price*")
        passing = page.locator(".results-head p")
        expect(passing).not_to_have_text(f"{count} images")
        assert int(passing.inner_text().split()[0]) < count
        assert violations(page) == []
        screenshot(page, "filters", tmp_path)

        side.get_by_text("Filter expression", exact=True).first.click()
        text = side.get_by_role("textbox", name="Filter expression")
        assert text.input_value().startswith(f'category = "{kind}" and price <= ')
        text.fill(f'category = "{kind}" and (price < 20 or in_stock)')
        page.wait_for_url("**or+in_stock*")
        settled(page)
        expect(first.get_by_role("checkbox")).to_be_checked()
        side.get_by_role("button", name="Clear all").click()
        page.wait_for_url(lambda url: "where" not in url)
        expect(first.get_by_role("checkbox")).not_to_be_checked()


def sidebar(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Weights, options and filters")


def test_a_typed_filter_sets_the_controls(opened: Open) -> None:
    with opened() as seen:
        where = (
            'price>=20 and price < 150 and category in ("hat", "dress") and (in_stock or price > 0)'
        )
        page = start(seen, f"/?{urlencode({'where': where})}")
        side = sidebar(page)
        for kind in ("hat", "dress"):
            expect(side.get_by_role("checkbox", name=kind)).to_be_checked()
        expect(side.get_by_role("checkbox", checked=True)).to_have_count(2)
        for edge, value in (("from", "20"), ("to", "150")):
            slider = side.get_by_role("slider", name=f"Price, {edge}")
            expect(slider).to_have_attribute("aria-valuetext", value)
        text = side.get_by_role("textbox", name="Filter expression")
        expect(text).to_have_value(where)
        side.get_by_role("checkbox", name="hat").click()
        expect(text).to_have_value(
            where.replace('category in ("hat", "dress")', 'category = "dress"')
        )


def test_quick_changes_of_a_filter_are_all_kept(opened: Open) -> None:
    with opened() as seen:
        page = start(seen)
        kinds = sidebar(page).get_by_role("group", name="Category")
        boxes = kinds.get_by_role("checkbox")
        expect(boxes.nth(3)).to_be_visible()
        names = kinds.locator(".check span").all_inner_texts()[:4]
        kinds.evaluate(
            "group => [...group.querySelectorAll('input')].slice(0, 4).forEach(x => x.click())"
        )
        for i in range(4):
            expect(boxes.nth(i)).to_be_checked()
        page.wait_for_url("**where=category+in*")
        sidebar(page).get_by_text("Filter expression", exact=True).first.click()
        text = sidebar(page).get_by_role("textbox", name="Filter expression")
        expect(text).to_have_value(f"category in ({', '.join(json.dumps(name) for name in names)})")


def test_a_range_of_dates_includes_its_last_day(opened: Open) -> None:
    with opened() as seen:
        page = start(seen)
        side = sidebar(page)
        side.locator("summary").get_by_text("Uploaded at", exact=True).click()
        last = side.get_by_role("slider", name="Uploaded at, to")
        first = side.get_by_role("slider", name="Uploaded at, from")
        last.focus()
        page.keyboard.press("PageDown")
        page.wait_for_url("**where=uploaded_at*")
        side.get_by_text("Filter expression", exact=True).first.click()
        day = str(last.get_attribute("aria-valuetext"))
        text = side.get_by_role("textbox", name="Filter expression")
        expect(text).to_have_value(f'uploaded_at <= "{day}"')
        first.focus()
        page.keyboard.press("ArrowRight")
        expect(text).to_have_value(re.compile(f'uploaded_at >= .* and uploaded_at <= "{day}"'))
        expect(last).to_have_attribute("aria-valuetext", day)


def test_an_answer_says_whether_it_is_exact(opened: Open) -> None:
    with opened() as seen:
        page = start(seen, "/?id=shirt-005&color=blue")
        expect(page.locator(".results-head p")).to_have_text(
            re.compile(r"^nearest first · \d+ ms · (exact|approximate|may miss results)$")
        )


def test_a_wrong_filter_is_explained_in_the_servers_words(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        seen.expected.append(400)
        seen.page.goto("/?where=prise+%3C+9")
        expect(seen.page.get_by_role("alert").first).to_contain_text('did you mean "price"?')
        screenshot(seen.page, "error", tmp_path)
        seen.page.goto("/?where=price+%3C+0")
        expect(seen.page.get_by_role("heading", name="No results")).to_be_visible()
        assert violations(seen.page) == []
        seen.page.get_by_role("button", name="Clear the filters").click()
        assert settled(seen.page)


def test_a_forgotten_picture_is_asked_for_again(opened: Open) -> None:
    with opened() as seen:
        seen.expected.append(404)
        seen.page.goto(f"/?upload={'0' * 64}")
        expect(seen.page.get_by_text("Drop it here again")).to_be_visible()
        expect(seen.page.get_by_text("Expired", exact=True)).to_be_visible()


def test_a_file_that_is_no_picture_is_refused(opened: Open, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    with opened() as seen:
        seen.expected.append(422)
        page = start(seen)
        drop(page, "drop", broken)
        expect(page.locator(".notice")).to_be_visible()
        page.get_by_role("button", name="Dismiss").click()
        expect(page.locator(".notice")).to_have_count(0)


def test_similar_likes_and_dislikes_refine(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen)
        listing = settled(page)
        first = cards(page).first
        id = first.get_attribute("data-id")
        first.hover()
        first.get_by_role("button", name="Similar").click()
        page.wait_for_url(f"**/?id={id}")
        similar = changed(page, listing)
        assert id not in similar

        liked = cards(page).nth(1)
        liked_id = liked.get_attribute("data-id")
        liked.hover()
        liked.get_by_role("button", name="More like this").click()
        page.wait_for_url(f"**like={liked_id}*")
        refined = changed(page, similar)
        assert liked_id not in refined
        last = cards(page).nth(5)
        last.hover()
        last.get_by_role("button", name="Less like this").click()
        page.wait_for_url("**unlike=*")
        changed(page, refined)
        bar = page.get_by_role("complementary", name="Likes and dislikes")
        expect(bar.get_by_role("img")).to_have_count(2)
        assert violations(page) == []
        screenshot(page, "refined", tmp_path)
        bar.get_by_role("button", name="Undo").click()
        expect(bar.get_by_role("img")).to_have_count(1)
        restored(page, refined)
        bar.get_by_role("button", name="Clear").click()
        expect(bar).to_have_count(0)
        restored(page, similar)


def body_of(request: Request) -> dict[str, Any]:
    """What a request of the page asks for, without its page."""
    body: dict[str, Any] = request.post_data_json or {}
    return {name: value for name, value in body.items() if name not in ("limit", "offset")}


@pytest.mark.parametrize(
    ("about", "targets", "heading"),
    [
        (
            "id=shirt-005&color=blue&crop=0.2,0.2,0.5,0.5&where=price+%3C+90",
            {
                "id": "shirt-005",
                "color": "blue",
                "crop": [0.2, 0.2, 0.5, 0.5],
                "where": "price < 90",
            },
            "Similar to the cropped image, in blue, 1 like, 1 dislike, filtered",
        ),
        (
            "color=red&color=white&collapse=brand&sort=-price",
            {"color": ["red", "white"], "collapse": "brand", "sort": "-price"},
            "In red and white, 1 like, 1 dislike, one of each brand",
        ),
        (
            "id=shirt-005&id=shirt-006&collapse=1",
            {"id": ["shirt-005", "shirt-006"], "collapse": True},
            "Similar to 2 images, 1 like, 1 dislike",
        ),
        (
            "id=shirt-005&color=blue&strategy=best",
            {"like": ["shirt-005", "dress-001"], "color": "blue", "strategy": "best"},
            "Similar to the image, in blue, 1 like, 1 dislike",
        ),
    ],
)
def test_examples_refine_a_search_and_keep_what_it_is_about(
    opened: Open, about: str, targets: dict[str, Any], heading: str
) -> None:
    with opened() as seen:
        page = seen.page
        with page.expect_request("**/v1/recommend") as sent:
            page.goto(f"/?{about}&like=dress-001&unlike=dress-002")
        examples = {"like": ["dress-001"], "unlike": ["dress-002"]}
        assert body_of(sent.value) == examples | targets
        expect(page.locator(".results-head h2")).to_have_text(heading)
        found = settled(page)
        assert found
        assert not {"dress-001", "dress-002"} & set(found)


def test_results_are_sorted_and_grouped_by_fields(opened: Open, tmp_path: Path) -> None:
    prices = """cards => Promise.all(cards.map(async (card) => {
      const answer = await fetch(`/v1/image?id=${encodeURIComponent(card.dataset.id)}`);
      return (await answer.json()).payload;
    }))"""
    with opened() as seen:
        page = start(seen)
        listing = settled(page)
        side = sidebar(page)
        each = side.get_by_role("combobox", name="One of each")
        expect(each).to_be_disabled()
        side.get_by_role("combobox", name="Sort by").select_option("Price")
        page.wait_for_url("**/?sort=price")
        cheapest = changed(page, listing)
        expect(page.locator(".results-head p")).to_have_text(re.compile("images · by price ↑$"))
        side.get_by_role("button", name="Descending").click()
        page.wait_for_url("**/?sort=-price")
        dearest = changed(page, cheapest)
        values = [one["price"] for one in cards(page).evaluate_all(prices)]
        assert values == sorted(values, reverse=True)
        page.go_back()
        restored(page, cheapest)
        page.go_forward()
        restored(page, dearest)

        page.goto("/?id=shirt-005&sort=-price")
        by_price = settled(page)
        each.select_option("Category")
        page.wait_for_url("**collapse=category*")
        changed(page, by_price)
        expect(page.get_by_role("heading", name="one of each category")).to_be_visible()
        shown = cards(page).evaluate_all(prices)
        kinds = [one.get("category") for one in shown if one.get("category")]
        assert len(kinds) == len(set(kinds)) > 3
        values = [one["price"] for one in shown if "price" in one]
        assert values == sorted(values, reverse=True)
        expect(page.locator(".variants").first).to_have_text(re.compile(r"^\+\d+$"))
        assert violations(page) == []
        screenshot(page, "sorted", tmp_path)
        side.get_by_role("checkbox", name="Hide near-identical images").click()
        page.wait_for_url("**collapse=1*")
        expect(each).to_have_value("")


def test_why_and_details(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = start(seen, "/?id=shirt-005&weights=balanced")
        card = cards(page).nth(2)
        card.hover()
        card.get_by_role("button", name="Score breakdown").click()
        for name in ("Meaning", "Color", "Texture"):
            expect(card.locator(".breakdown", has_text=name)).to_be_visible()
        assert violations(page) == []
        screenshot(page, "why", tmp_path)

        ids = settled(page)
        cards(page).first.locator(".card-image").click()
        page.wait_for_url(f"**show={ids[0]}")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text(ids[0], exact=True)).to_be_visible()
        expect(dialog.get_by_text("Category")).to_be_visible()
        assert dialog.get_by_role("link", name="Open").get_attribute("href") == (
            f"/v1/image/file?id={ids[0]}"
        )
        assert violations(page) == []
        screenshot(page, "details", tmp_path)
        dialog.get_by_role("button", name="Next").click()
        page.wait_for_url(f"**show={ids[1]}")
        expect(dialog.get_by_text(ids[1], exact=True)).to_be_visible()  # drawn after the address
        page.keyboard.press("ArrowLeft")
        page.wait_for_url(f"**show={ids[0]}")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        page.wait_for_url(lambda url: "show" not in url)


def test_the_address_holds_it_all_and_back_works(opened: Open) -> None:
    with opened() as seen:
        page = start(seen, "/?id=shirt-005&color=blue&where=price+%3C+90&collapse=1")
        shown = settled(page)
        expect(page.get_by_role("checkbox", name="Hide near-identical images")).to_be_checked()
        page.get_by_role("button", name="Style", exact=True).click()
        page.wait_for_url("**weights=style*")
        settled(page)
        # `uncheck` does not wait for the address to change.
        page.get_by_role("checkbox", name="Hide near-identical images").click()
        page.wait_for_url(lambda url: "collapse" not in url)
        unfolded, url = settled(page), page.url
        page.go_back()
        page.go_back()
        expect(page.get_by_role("button", name="Auto", exact=True)).to_have_attribute(
            "aria-pressed", "true"
        )
        restored(page, shown)
        page.get_by_role("link", name="Library").click()
        expect(page.get_by_role("heading", name="Library")).to_be_visible()
        page.go_back()
        restored(page, shown)
    with opened() as seen:
        assert settled(start(seen, url)) == unfolded


# --- duplicates -----------------------------------------------------------------------------


def test_duplicates_are_looked_through_by_keys(opened: Open, tmp_path: Path) -> None:
    with opened() as seen:
        page = seen.page
        page.goto("/duplicates")
        page.get_by_role("textbox", name="Filter").fill("category is null")
        page.get_by_role("button", name="Oldest").click()
        page.get_by_role("button", name="Find duplicates").click()
        groups = page.locator(".group[aria-label]")
        expect(groups).to_have_count(3)
        expect(groups.first.locator(".member-state").first).to_contain_text("Keep")
        expect(groups.first.locator(".member").first).to_contain_text("oldest")

        page.keyboard.press("j")
        expect(groups.first).to_have_attribute("data-active", "true")
        page.keyboard.press("d")
        expect(groups.first.get_by_role("img", name="Differences in red").first).to_be_visible()
        expect(groups.first.locator(".difference").first).to_have_js_property("complete", True)
        assert violations(page) == []
        screenshot(page, "duplicates", tmp_path)
        page.keyboard.press("d")
        second = (
            groups.first.locator(".member").nth(1).locator(".member-text p").nth(1).inner_text()
        )
        page.keyboard.press("2")
        expect(groups.first.locator(".member").first).to_contain_text(second)
        expect(groups.first.locator(".member").first).to_contain_text("chosen by you")

        page.keyboard.press("x")
        expect(groups.first).to_contain_text("Removing")
        page.keyboard.press("u")
        expect(groups.first).not_to_contain_text("Removing")

        page.keyboard.press("k")
        page.keyboard.press("n")
        expect(groups).to_have_count(2)
        page.get_by_role("status").get_by_role("button", name="Undo").click()
        expect(groups).to_have_count(3)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        page.keyboard.press("Escape")

        before = int(page.locator(".count").inner_text().split()[0])
        last = groups.last
        last.get_by_role("button", name="Remove", exact=False).first.click()
        expect(groups).to_have_count(2, timeout=15_000)
        expect(page.locator(".count")).to_have_text(f"{before - 1} images")
        assert seen.layout_shift() < 0.25


def test_a_copy_that_holds_more_is_marked_and_stays(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    scene(7).save(folder / "large.jpg", quality=95)
    small = scene(7).resize((360, 270))
    small.save(folder / "small.jpg", quality=80)
    taken = Image.Exif()
    taken[0x0132] = "2020:05:01 10:00:00"
    taken.get_ifd(0x8769)[0x9003] = "2020:05:01 10:00:00"
    taken[0x010F], taken[0x0110] = "Camera", "Model 1"
    small.save(folder / "dated.jpg", quality=80, exif=taken)
    with Index.open(tmp_path / "index", model="built-in", threads=1) as index:
        index.add(folder)
        served = options(tmp_path / "state")
        with running(index, served) as (_, at), watched(browser, at) as seen:
            page = seen.page
            page.goto("/duplicates")
            page.get_by_role("button", name="Find duplicates").click()
            group = page.locator(".group[aria-label]")
            expect(group).to_have_count(1)
            dated = group.locator(".member").filter(has_text="dated.jpg")
            expect(dated).to_contain_text("Holds more: camera metadata")
            expect(group.get_by_role("button", name="Remove the copy")).to_be_visible()
            assert violations(page) == []
            screenshot(page, "holds-more", tmp_path)
            page.keyboard.press("j")
            page.keyboard.press("x")
            expect(group).to_contain_text("Removing 1")
            expect(group.locator(".member[data-removing=true]")).to_contain_text("small.jpg")
            expect(group.locator(".member")).to_have_count(2, timeout=15_000)
            assert {hit.id for hit in index.scroll()} == {
                str(folder / name) for name in ("large.jpg", "dated.jpg")
            }


# --- the library ----------------------------------------------------------------------------


def test_images_are_added_found_and_rejected(opened: Open, tmp_path: Path) -> None:
    new, broken = tmp_path / "new.jpg", tmp_path / "broken.jpg"
    scene(77).save(new, quality=90)
    broken.write_bytes(b"no picture")
    with opened() as seen:
        page = seen.page
        page.goto("/library")
        expect(page.locator(".count")).to_contain_text("images")
        before = int(page.locator(".count").inner_text().split()[0])
        with page.expect_file_chooser() as choice:
            page.get_by_role("button", name="Add images").click()
        choice.value.set_files([new, broken])
        expect(page.locator(".add-state")).to_contain_text("1 image added, 1 rejected")
        expect(page.locator(".rejects")).to_contain_text("broken.jpg")
        expect(page.locator(".notes")).to_have_count(0)
        expect(page.locator(".count")).to_have_text(f"{before + 1} images")
        assert violations(page) == []
        screenshot(page, "library", tmp_path)


def test_a_folder_is_indexed_as_a_job(opened: Open, images: Path) -> None:
    folder = images / "later"
    folder.mkdir()
    for i in range(4):
        scene(100 + i).save(folder / f"{i}.jpg")
    shutil.copy(folder / "0.jpg", folder / "0 again.jpg")
    with opened() as seen:
        seen.expected.append(403)
        page = seen.page
        page.goto("/library")
        page.get_by_role("textbox", name="Folder").fill("/")
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator(".ingest .bad")).to_be_visible()
        page.get_by_role("textbox", name="Folder").fill(str(folder))
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.locator(".job").first).to_contain_text("5 added")
        expect(page.locator(".job").first).to_contain_text("Done")


def test_notes_on_files_are_shown_with_the_rejects(
    opened: Open, images: Path, tmp_path: Path
) -> None:
    folder = images / "damaged"
    folder.mkdir(exist_ok=True)  # a second try finds it
    scene(110).save(tmp_path / "whole.jpg")
    (folder / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-2])  # the end marker
    (folder / "broken.jpg").write_bytes(b"no picture")
    with opened() as seen:
        page = seen.page
        page.goto("/library")
        page.get_by_role("textbox", name="Folder").fill(str(folder))
        page.get_by_role("button", name="Start", exact=True).click()
        job = page.locator(".job").first
        expect(job).to_contain_text("1 added")
        expect(job.locator(".rejects")).to_contain_text("broken.jpg")
        notes = job.locator(".notes")
        expect(notes.locator("summary")).to_have_text("1 note")
        expect(notes).to_contain_text("cut.jpg")
        expect(notes).to_contain_text("its last bytes are missing")
        assert violations(page) == []
        scene(111).save(tmp_path / "whole.jpg")
        (tmp_path / "cut too.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-2])
        with page.expect_file_chooser() as choice:
            page.get_by_role("button", name="Add images").click()
        choice.value.set_files([tmp_path / "cut too.jpg"])
        expect(page.locator(".add-state .notes")).to_contain_text("cut too.jpg")


# --- how it looks and feels -----------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_view_can_be_used_by_everybody(
    opened: Open, size: tuple[int, int], dark: bool, tmp_path: Path
) -> None:
    name = f"{'narrow' if size == NARROW else 'wide'}-{'dark' if dark else 'light'}"
    with opened(size=size, dark=dark, touch=size == NARROW) as seen:
        page = seen.page
        for view, path in {
            "search": "/?id=shirt-005&weights=balanced&like=shirt-007&where=in_stock",
            "browse": "/",
            "duplicates": "/duplicates",
            "library": "/library",
        }.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            assert violations(page) == [], view
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{view} is {wide} pixels too wide"
            assert seen.layout_shift() < 0.05, view
            screenshot(page, f"{view}-{name}", tmp_path)


def test_filters_open_over_a_narrow_page(opened: Open, tmp_path: Path) -> None:
    with opened(size=(360, 740), touch=True) as seen:
        page = start(seen)
        listing = settled(page)
        page.get_by_role("button", name="Filters").click()
        sheet = page.get_by_role("dialog", name="Filters")
        sheet.get_by_role("group", name="Category").get_by_role("checkbox").first.click()
        page.wait_for_url("**where=category*")
        changed(page, listing)
        assert violations(page) == []
        screenshot(page, "sheet", tmp_path)
        sheet.get_by_role("button", name="Show").click()
        expect(page.get_by_role("button", name="Filters · 1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_theme_is_chosen_and_stays(opened: Open) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with opened() as seen:
        page = start(seen)
        light = page.evaluate(ground)
        page.get_by_role("button", name="Dark theme").click()
        dark = page.evaluate(ground)
        assert dark != light
        page.reload()
        assert page.evaluate(ground) == dark
        page.get_by_role("button", name="Light theme").click()
        assert page.evaluate(ground) == light


def test_it_works_by_keyboard_alone(opened: Open) -> None:
    with opened() as seen:
        page = start(seen)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        cards(page).first.locator(".card-image").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(cards(page).first.locator(".card-image")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/?id=*")


def test_a_key_opens_what_is_closed(browser: Browser, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in", threads=1) as index:
        photos = tmp_path / "photos"
        photos.mkdir()
        draw(1).save(photos / "one.jpg")
        index.add(photos)
        closed = options(tmp_path / "state", read_key="r" * 20, write_key="w" * 20)
        with running(index, closed) as (_, at), watched(browser, at) as seen:
            seen.expected.append(401)
            seen.page.goto("/")
            dialog = seen.page.get_by_role("dialog", name="API key required")
            dialog.get_by_label("Key", exact=True).fill("wrong")
            dialog.get_by_role("button", name="Continue").click()
            expect(dialog.get_by_role("alert")).not_to_contain_text("Ask the operator")
            assert violations(seen.page) == []
            dialog.get_by_label("Key", exact=True).fill("r" * 20)
            dialog.get_by_role("button", name="Continue").click()
            expect(cards(seen.page)).to_have_count(1)
            image = seen.page.locator(".card img")
            expect(image).to_have_js_property("complete", True)
            assert image.evaluate("image => image.naturalWidth") > 0
            seen.page.goto("/library")
            expect(seen.page.get_by_text("Models")).to_be_visible()
            assert seen.page.get_by_role("button", name="Add images").count() == 0


# --- with real photos and words -------------------------------------------------------------


@pytest.mark.slow
def test_words_on_real_photos(browser: Browser, data: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for category in ("dress", "shoes", "hat", "pants"):
        (photos / category).mkdir(parents=True)
        for path in sorted((data / "catalog" / "images" / category).iterdir())[:12]:
            shutil.copy(path, photos / category)
    model = data / "standin-clip"
    with Index.open(tmp_path / "index", model="clip", model_dir=model, threads=1) as index:
        index.add(photos)
        with (
            running(index, options(tmp_path / "state")) as (_, at),
            watched(browser, at) as seen,
        ):
            page = start(seen)
            words = page.get_by_role("searchbox", name="Text", exact=True)
            words.press_sequentially("shoes", delay=30)
            page.wait_for_url("**/?text=shoes")
            page.wait_for_load_state("networkidle")
            shoes = settled(page)
            near = [page.locator(".card").nth(i).get_attribute("data-id") for i in range(6)]
            assert sum("/shoes/" in str(id) for id in near) >= 4
            screenshot(page, "words", tmp_path)
            page.get_by_role("searchbox", name="Negative text").fill("hat")
            page.wait_for_url("**negative_text=hat*")
            changed(page, shoes)
            # Everything typed into one input is one step.
            page.go_back()
            page.go_back()
            page.wait_for_url(lambda url: "text" not in url)
            page.wait_for_load_state("networkidle")
            listing = settled(page)
            with Image.open(next((photos / "dress").iterdir())) as image:
                image.save(tmp_path / "query.png")
            drop(page, "drop", tmp_path / "query.png")
            page.wait_for_url("**/?upload=*")
            assert "/dress/" in changed(page, listing)[0]
            assert violations(page) == []
            screenshot(page, "photos", tmp_path)


def test_a_further_model_has_a_weight_of_its_own(browser: Browser, tmp_path: Path) -> None:
    write_preprocessing(tmp_path / "tiny")
    write_vision(tmp_path / "tiny" / "model.onnx")
    also = f"onnx:{tmp_path / 'tiny'}"
    with Index.open(tmp_path / "index", model="built-in", also=also, threads=1) as index:
        index.add(folder_of(tmp_path / "photos", 3))
        with (
            running(index, options(tmp_path / "state")) as (_, at),
            watched(browser, at) as seen,
        ):
            page = start(seen, f"/?id={quote(str(tmp_path / 'photos' / '001.jpg'))}")
            slider = page.get_by_role("slider", name="Meaning (tiny)")
            slider.focus()
            page.keyboard.press("End")
            page.wait_for_url(lambda url: "semantic:tiny=1" in unquote(url))
            settled(page)
