"""The chat and the request builder: what is hostile, what fails, what goes along, what is taken away."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.deeds import ask, open_chat
from tests.browser.stage import Served, serious_findings, window

HOSTILE = (
    '<img src=x onerror="document.title=1"> <script>document.title=1</script>'
    " [a link](javascript:document.title=1) ![a picture](https://evil.example/x.png)"
    ' <a href="/auth/sign-out" style="position:fixed">signs out</a>'
)
DOT = b64decode("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==")
RICH = "# Title\n\n- **bold**\n\n```python\nprint(1)\n```\n\nEuler: $e^{i\\pi}=-1$\n\n|a|b|\n|-|-|\n|1|2|"


def test_what_models_write_is_shown_and_does_nothing(owner_page: Page) -> None:
    """The page's own watch fails the test for any script, foreign request or refused style."""
    ask(owner_page, HOSTILE, model="sandbox/echo")
    answer = owner_page.get_by_role("article")
    expect(answer.get_by_role("link", name="a picture")).to_have_attribute(
        "rel", re.compile("noopener")
    )
    expect(answer.get_by_text("<img src=x")).to_be_visible()
    expect(answer.locator("[data-prose] :is(img, script, [style], [onerror])")).to_have_count(0)
    expect(
        answer.locator('[data-prose] a[href^="javascript"], [data-prose] a[href^="/"]')
    ).to_have_count(0)
    ask(owner_page, RICH)
    rich = owner_page.get_by_role("article").last
    expect(rich.get_by_role("heading", name="Title")).to_be_visible()
    expect(rich.locator(".hljs-built_in")).to_have_text("print")
    expect(rich.locator("math")).to_be_visible()
    expect(rich.locator("annotation")).to_have_count(0)
    expect(rich.get_by_role("cell", name="2")).to_be_visible()
    expect(owner_page).to_have_title("Chat · Fairlead")


def test_an_answer_is_stopped_and_what_failed_is_tried_again(
    browser: Browser, served: Served, owner_state: Any
) -> None:
    with window(browser, served.url, state=owner_state) as (page, watched):
        watched.expect("503")
        watched.expect("404")  # the record of what was stopped is there a moment later
        ask(page, "Take your time", model="sandbox/slow")
        expect(page.get_by_role("article").locator("[data-prose] p")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_text("Stopped. What came till then is paid.")).to_be_visible()
        expect(page.get_by_role("article").locator("[data-cost]")).to_have_text(
            re.compile(r"\$0\.")
        )
        refusal = {"error": {"message": "Nobody <b>answers</b> now.", "code": 503}}
        page.route(
            "/chat/completions", lambda route: route.fulfill(status=503, json=refusal), times=1
        )
        ask(page, "Again?", model="sandbox/echo")
        expect(page.get_by_role("alert").get_by_text("Nobody <b>answers</b> now.")).to_be_visible()
        page.get_by_role("button", name="Retry").click()
        expect(page.get_by_role("article").get_by_text("Again?")).to_be_visible()
        assert watched.unexpected == []


def test_what_is_open_goes_on_and_what_is_deleted_stays_deleted(owner_page: Page) -> None:
    ask(owner_page, "Take your time", model="sandbox/slow")
    expect(owner_page.get_by_role("article").locator("[data-prose] p")).to_be_visible()
    listed = owner_page.get_by_role("navigation", name="Conversations").get_by_role("listitem")
    listed.get_by_role("link").click()
    expect(owner_page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    listed.get_by_role("button", name="Delete Take your time").click()
    expect(owner_page.get_by_text("What do you want to ask?")).to_be_visible()
    expect(listed).to_have_count(0)
    # What was under way while it was deleted brings nothing back.
    ask(owner_page, "Something else", model="sandbox/echo")
    expect(listed).to_have_count(1)


def test_calls_go_to_the_chosen_workspace_and_an_answer_is_flagged(
    browser: Browser, served: Served, owner_state: Any
) -> None:
    with window(browser, served.url, state=owner_state) as (page, watched):
        watched.expect("404")  # records of calls are there a moment after their end
        page.goto("/settings/workspaces")
        page.get_by_label("Name").fill("Lab")
        page.get_by_role("button", name="Create workspace").click()
        ask(page, "Take your time", model="sandbox/slow")
        expect(page.get_by_role("article").locator("[data-prose] p")).to_be_visible()
        page.get_by_label("Workspace").select_option(label="Lab")
        expect(page.get_by_text("Stopped. What came till then is paid.")).to_be_visible()
        choice = page.get_by_label("Workspace")
        lab = choice.locator("option", has_text="Lab").get_attribute("value") or "is offered"
        open_chat(page, "/chat?model=sandbox/echo&workspace=default")
        expect(choice).not_to_have_value(lab)
        choice.select_option(lab)
        open_chat(page, page.url)
        expect(choice).to_have_value(lab)
        with page.expect_request("/chat/completions") as request:
            ask(page, "Where am I?")
        assert request.value.headers["x-workspace"] == page.get_by_label("Workspace").input_value()
        answer = page.get_by_role("article")
        answer.get_by_role("button", name="Flag").press("Enter")
        expect(answer.get_by_label("What is wrong with this answer?")).to_be_focused()
        assert serious_findings(page) == []
        answer.get_by_label("What is wrong").select_option(label="It took too long")
        answer.get_by_label("In your words").fill("I can wait, but not for ever.")
        answer.get_by_role("button", name="Send feedback").press("Enter")
        expect(answer.get_by_text("Flagged")).to_be_focused()
        page.reload()
        expect(answer.get_by_text("Flagged")).to_be_visible()
        expect(answer.get_by_role("button", name="Flag")).to_be_hidden()
        page.goto("/admin/feedback")
        expect(page.get_by_text("I can wait, but not for ever.")).to_be_visible()
        assert watched.unexpected == []


def test_conversations_leave_as_a_file_and_come_back(owner_page: Page, tmp_path: Path) -> None:
    ask(owner_page, "Keep this", model="sandbox/echo")
    expect(owner_page.get_by_role("button", name="Delete Keep this")).to_be_visible()
    with owner_page.expect_download() as download:
        owner_page.get_by_role("button", name="Export").click()
    file = tmp_path / "chat.json"
    download.value.save_as(file)
    owner_page.get_by_role("button", name="Clear all").click()
    owner_page.get_by_role("button", name="Delete all").click()
    expect(owner_page.get_by_text("What do you want to ask?")).to_be_visible()
    kept = json.loads(file.read_text("utf-8"))
    kept["conversations"][0]["title"] = HOSTILE
    kept["conversations"][0]["models"] = [HOSTILE[:200]]
    kept["conversations"][0]["turns"][0]["answers"][0] |= {"model": HOSTILE[:200], "text": HOSTILE}
    file.write_text(json.dumps(kept), "utf-8")
    owner_page.get_by_label("File with conversations").set_input_files(file)
    expect(owner_page.get_by_role("article").get_by_text("<img src=x").last).to_be_visible()
    expect(owner_page.get_by_text("Keep this").last).to_be_visible()
    expect(owner_page.locator("[data-chat] [onerror], [data-chat] script")).to_have_count(0)
    file.write_text('{"format": "fairlead-chat", "version": 1, "conversations": [7]}', "utf-8")
    owner_page.get_by_label("File with conversations").set_input_files(file)
    expect(owner_page.get_by_text("Conversation 1 is none.")).to_be_visible()


def test_images_go_along_and_other_files_are_refused(owner_page: Page) -> None:
    open_chat(owner_page, "/chat?model=sandbox/echo")
    chooser = owner_page.get_by_label("Images and PDFs")
    chooser.set_input_files({"name": "a.html", "mimeType": "text/html", "buffer": b"<p>"})
    expect(owner_page.get_by_role("alert")).to_contain_text("a.html is neither an image")
    chooser.set_input_files({"name": "dot.gif", "mimeType": "image/gif", "buffer": DOT})
    expect(owner_page.get_by_role("button", name="Remove dot.gif")).to_be_visible()
    with owner_page.expect_request("/chat/completions") as request:
        ask(owner_page, "What is this?")
    parts = request.value.post_data_json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    expect(owner_page.get_by_role("img", name="dot.gif")).to_be_visible()
    expect(owner_page.get_by_role("article").get_by_text("What is this?")).to_be_visible()


def test_code_follows_the_form_and_runs(owner_page: Page) -> None:
    owner_page.goto("/request-builder")
    owner_page.get_by_label("Message").fill("Say this")
    expect(owner_page.get_by_text('"content": "Say this"')).to_be_visible()
    owner_page.get_by_label("Seed").fill("x")
    expect(owner_page.get_by_text("Not in the code")).to_be_visible()
    owner_page.get_by_label("Seed").fill("7")
    owner_page.get_by_role("radio", name="curl").check()
    expect(owner_page.get_by_text('"seed": 7')).to_be_visible()
    expect(owner_page).to_have_url(re.compile(r"language=curl"))
    owner_page.get_by_role("button", name="Run").click()
    expect(owner_page.locator("[data-run]").get_by_text("Say this")).to_be_visible()
    expect(
        owner_page.get_by_text(re.compile(r"\d+ in · \d+ out · \$0\.\d+ · by Sandbox"))
    ).to_be_visible()


def test_code_is_written_without_scripts(unscripted: Page) -> None:
    unscripted.goto("/request-builder")
    unscripted.get_by_label("Temperature").fill("0.5")
    unscripted.get_by_role("button", name="Write the code").click()
    expect(unscripted.get_by_text("temperature=0.5")).to_be_visible()
    unscripted.get_by_role("radio", name="curl").check()
    unscripted.get_by_role("button", name="Write the code").click()
    expect(unscripted.get_by_text('"temperature": 0.5')).to_be_visible()
