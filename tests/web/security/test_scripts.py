"""Names that are scripts: kept ones on every page that shows them, and whatever an address or a form says."""

from __future__ import annotations

import csv
import io
from html import escape, unescape
from urllib.parse import quote, urlencode

import pytest

from fairlead.web.csv_export import csv_text
from tests.web.pages.visits import HOSTILE, HTML, Visit
from tests.web.security.house import PART, House, check, dangers

# Where a name of each kind must be seen, so that what is refused is not only missing.
SEEN = (
    "/openai/o1",
    "/openai/o1?tab=providers",
    "/models?q=o3-mini",
    "/compare?models=openai/o1,openai/o3-mini",
    "/providers",
    "/providers/openai",
    "/rankings?by=app&period=week",
    "/apps?period=week",
    "/apps?period=week&url=https://evil.example/%3Cscript%3Ealert(1)%3C/script%3E",
    "/settings/profile",
    "/settings/sessions",
    "/settings/keys",
    "/settings/byok",
    "/settings/organisation",
    "/settings/workspaces",
    "/settings/workspaces/lab",
    "/activity",
    "/activity/sessions",
    "/credits/invoices",
)
SEEN_BY_THE_OPERATOR = ("/admin/audit?account={}", "/admin/accounts/{}", "/admin/configuration")
# Every parameter that some page reads.
PARAMETERS = (
    "q", "sort", "order", "tab", "view", "page", "period", "by", "category", "models", "model", "provider",
    "providers", "key", "app", "before", "workspace", "kind", "notice", "state", "show", "action",
    "metric", "result", "cache", "streamed", "id",
    "actor", "account", "amount", "method", "language", "message", "system", "stop", "seed",
    "temperature", "max_tokens", "input_modalities", "model_authors", "arch", "max_price", "context", "days",
    "window", "country", "policy", "callback_url", "code_challenge", "code_challenge_method", "key_label",
    "expires_at", "limit", "usage_limit_type", "workspace_id", "code", "error", "prompt", "completion",
    "at", "cached", "image_output", "searches", "calls", "min_coding_index", "min_tool_success_rate",
)  # fmt: skip
# Of these some say where to go on.
LEADING = ("next", "return_to", "url", "to", "purchase", "saved", "redirect_uri", "back")
ELSEWHERE = f"//evil.example/{HOSTILE}"
FIELDS = (
    "name", "slug", "description", "new_name", "email", "role", "limit", "limit_reset", "user", "account",
    "workspace", "provider", "section", "key", "sort_order", "region", "allowed_models", "allowed_keys",
    "amount", "method", "threshold", "monthly_max", "tax_ids", "address", "low_balance", "when", "daily",
    "confirm", "reason", "reference", "expires_days", "sampling", "model", "models", "max_prompt", "sort",
    "next", "link_email", "default_model", "ignored_models", "default_provider_order",
    "enforce_zdr_authors", "expires", "lifetime", "callback_url", "key_label", "outcome",
)  # fmt: skip


def test_they_are_shown_all_the_same(house: House) -> None:
    for visit, paths in ((house.admin(), SEEN), (house.operator(), SEEN_BY_THE_OPERATOR)):
        for path in paths:
            answer = visit.get(path.format(house.crew))
            check(answer)
            assert "<script>alert(1)</script>" in unescape(answer.text), path


def test_whatever_an_address_says_is_text_and_leads_nowhere(house: House) -> None:
    query = urlencode(dict.fromkeys(PARAMETERS, HOSTILE) | dict.fromkeys(LEADING, ELSEWHERE))
    for template in house.routes("GET"):
        visit = house.viewer(template)
        answers = [visit.get(f"{house.place(template).partition('?')[0]}?{query}")]
        hostile = PART.sub(quote(HOSTILE, safe=""), template)
        if hostile != template:
            answers.append(visit.get(hostile))
        for answer in answers:
            check(answer)
            assert "evil.example" not in answer.headers.get("location", ""), template


def test_whatever_a_form_says_is_text(house: House) -> None:
    fields = dict.fromkeys(FIELDS, HOSTILE)
    visit, operator = Visit(house, house.person("zed@example.com")), house.operator()
    ends = ("/sign-out", "/auth/sign-out")
    for template in house.routes("POST"):
        if template.startswith("/admin"):
            check(operator.post(house.place(template), **fields))
        elif template not in ends:
            check(visit.post(house.place(template), **fields))
    for path in ("/settings/profile", "/settings/keys", "/settings/workspaces"):
        kept = visit.get(path)
        check(kept)
        assert kept.status_code == 200
    for path in ends:
        check(visit.post(path, **fields))


def test_what_one_takes_away_is_no_formula() -> None:
    """OWASP's list, and what a spreadsheet takes for these signs."""
    for sign in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20":
        written = csv_text(("name",), [(f"{sign}cmd|' /C calc'!A0",)])
        (_, (cell,)) = csv.reader(io.StringIO(written, newline=""))
        assert cell.startswith("'"), repr(sign)


def test_an_address_of_thousands_of_parameters_costs_no_more_than_others(house: House) -> None:
    """As many as fit into an address; once, each of them was looked at together with all others."""
    query = "&".join(f"x{number:x}=1" for number in range(6000))
    answer = house.send("GET", f"/models?{query}", headers=HTML)
    check(answer)
    assert "x1=1" in answer.text
    assert "x176f=1" not in answer.text


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "<script>alert(1)</script>",
        '<a href="javascript:alert(1)">',
        '<a href="&#106;avascript:alert(1)">',
        '<p style="x">',
        "<svg/onload=alert(1)>",
        '<img src="https://evil.example/x.png">',
        "<IFRAME src=x>",
    ],
)
def test_the_check_finds_what_it_looks_for(text: str) -> None:
    assert dangers(f'<main class="x">{text}</main>')
    assert not dangers(f'<main title="{escape(text)}">{escape(text)}</main>')
