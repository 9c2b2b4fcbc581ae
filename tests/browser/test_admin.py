"""The operator's pages: a grant, a check of the ledger, and nothing that keeps anybody out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect


def test_credit_is_given_and_the_ledger_checked(owner_page: Page) -> None:
    owner_page.goto("/admin/accounts")
    owner_page.get_by_role("link", name="Owner").first.click()
    owner_page.get_by_label("Amount").fill("12.50")
    owner_page.get_by_label("Reason").fill("a present")
    owner_page.get_by_role("button", name="Give credit").click()
    expect(owner_page.get_by_text("The credit is given.")).to_be_visible()
    owner_page.goto("/admin/ledger")
    owner_page.get_by_role("button", name="Check now").click()
    expect(owner_page.get_by_text("Everything is in order.")).to_be_visible()
    owner_page.goto("/admin/audit?action=credits")
    expect(owner_page.get_by_text("credits.grant")).to_be_visible()


def test_accounts_are_searched_as_one_types(owner_page: Page) -> None:
    owner_page.goto("/admin/accounts")
    owner_page.get_by_label("Search", exact=True).last.fill("nobody-at-all")
    expect(owner_page.get_by_text("No such account")).to_be_visible()
    expect(owner_page).to_have_url(re.compile("q=nobody-at-all"))


def test_the_pages_are_accessible(check_accessible, owner_state) -> None:
    for path in ("/admin", "/admin/providers?show=all", "/admin/configuration"):
        check_accessible(path, state=owner_state)
