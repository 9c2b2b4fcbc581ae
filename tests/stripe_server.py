"""A server that speaks as Stripe does, for Stripe's own library.

`localstripe`, a program of its own, plays customers, payment methods, intents, charges and refunds. In front of
it stands what it lacks: hosted pages (Checkout), disputes, idempotency keys, refunds that fail or are too big,
and webhooks, signed as Stripe signs them. Everything else is passed on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

PATIENCE_S = 30.0
SECRET_KEY = "sk_test_fairlead"
WEBHOOK_SECRET = "whsec_fairlead"
GOOD_CARD = "pm_card_visa"
DECLINED_CARD = "pm_card_chargeCustomerFail"

# Its own entry point listens everywhere, and keeps a copy in a file that everybody shares.
_PROGRAM = """
import socket, sys
from localstripe import resources
resources.Store.dump_to_disk = lambda store: None
from localstripe.server import app
from aiohttp import web
web.run_app(app, sock=socket.socket(fileno=int(sys.argv[1])), print=None, access_log=None)
"""


class StripeServer:
    """url: of the server. is_away: it answers nothing but 503. calls: methods and paths, in order."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._lock = threading.RLock()
        self._numbers = count(1)
        self._answers: dict[str, tuple[bytes, int, bytes]] = {}
        self.url = ""
        self.is_away = False
        self.loses_answers = False  # does what is asked, and says 500
        self.calls: list[tuple[str, str]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.disputes: dict[str, dict[str, Any]] = {}
        self.refund_states: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []

    def clear(self) -> None:
        """As new; what localstripe has does not matter, for ids are never given twice."""
        self.is_away = self.loses_answers = False
        for kept in (self._answers, self.sessions, self.disputes, self.refund_states):
            kept.clear()
        self.calls.clear()
        self.events.clear()

    # --- what people, banks and Stripe itself do ---

    def pay(self, session: str, card: str = GOOD_CARD, *, cents: int | None = None) -> bool:
        """Somebody pays on a hosted page. cents: another amount than was asked for. Returns whether it worked;
        otherwise the page stays open."""
        page = self.sessions[session]
        wanted = {
            "amount": str(cents or page["amount_total"]),
            "currency": page["currency"],
            "payment_method": card,
            "confirm": "true",
        }
        for name, value in page["_tags"].items():
            wanted[f"metadata[{name}]"] = value
        status, body = self._pass_on("POST", "/v1/payment_intents", urllib.parse.urlencode(wanted))
        if status != 200:
            self._say("payment_intent.payment_failed", self._last_intent())
            return False
        intent = json.loads(self._completed("/v1/payment_intents", body))
        page |= {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"]}
        self._say("payment_intent.succeeded", intent)
        self._say("charge.succeeded", self.get(f"/v1/charges/{_charge(intent)}"))
        self._say("checkout.session.completed", _public(page))
        return True

    def save_card(self, session: str, card: str = GOOD_CARD) -> None:
        """Somebody saves a card on a hosted page."""
        page = self.sessions[session]
        setup = page["setup_intent"]
        body = urllib.parse.urlencode({"payment_method": card})
        status, text = self._pass_on("POST", f"/v1/setup_intents/{setup}/confirm", body)
        assert status == 200, text
        page["status"] = "complete"
        self._say("setup_intent.succeeded", json.loads(text))
        self._say("checkout.session.completed", _public(page))

    def expire(self, session: str) -> None:
        self.sessions[session]["status"] = "expired"
        self._say("checkout.session.expired", _public(self.sessions[session]))

    def dispute(
        self, payment: str, *, cents: int | None = None, status: str = "needs_response"
    ) -> str:
        intent = self.get(f"/v1/payment_intents/{payment}")
        name = f"dp_{next(self._numbers)}"
        self.disputes[name] = {
            "id": name,
            "object": "dispute",
            "amount": cents or intent["amount"],
            "currency": intent["currency"],
            "charge": _charge(intent),
            "payment_intent": payment,
            "status": status,
            "metadata": {},
        }
        self._say("charge.dispute.created", self.disputes[name])
        return name

    def decide(self, dispute: str, status: str) -> None:
        """status: won, lost, or another of Stripe's."""
        self.disputes[dispute]["status"] = status
        self._say("charge.dispute.closed", self.disputes[dispute])

    def fail_refund(self, refund: str) -> None:
        """A refund that had worked fails later."""
        self.refund_states[refund] = "failed"
        self._say("refund.failed", self.get(f"/v1/refunds/{refund}"))

    def refund_elsewhere(self, payment: str, cents: int) -> str:
        """Somebody pays back on Stripe's own pages."""
        body = urllib.parse.urlencode({"payment_intent": payment, "amount": str(cents)})
        status, text = self._pass_on("POST", "/v1/refunds", body)
        assert status == 200, text
        self._say("refund.created", json.loads(text))
        return str(json.loads(text)["id"])

    def count(self, method: str, path: str) -> int:
        """Calls of ours that were answered by doing something, repetitions left out."""
        return self.calls.count((method, path))

    # --- webhooks ---

    def _say(self, kind: str, about: dict[str, Any]) -> None:
        number = next(self._numbers)
        self.events.append(
            {
                "id": f"evt_{os.getpid()}_{number}",
                "object": "event",
                "type": kind,
                "created": int(time.time()),
                "data": {"object": about},
            }
        )

    # --- serving ---

    def get(self, path: str) -> dict[str, Any]:
        status, body, _ = self.answer("GET", path, b"", "")
        assert status == 200, body
        return dict(json.loads(body))

    def answer(self, method: str, target: str, body: bytes, key: str) -> tuple[int, bytes, bool]:
        """Status, body, and whether it was answered before."""
        if self.is_away:
            return 503, _problem("api_error", "away"), False
        with self._lock:
            digest = hashlib.sha256(f"{method} {target} ".encode() + body).digest()
            if key and key in self._answers:
                before, status, text = self._answers[key]
                if before != digest:
                    return 400, _problem("idempotency_error", "other parameters"), False
                if self.loses_answers:
                    return 500, _problem("api_error", "lost"), False
                return status, text, True
            self.calls.append((method, target.partition("?")[0]))
            status, text = self._answered(method, target, body.decode())
            if key and status < 500:
                self._answers[key] = (digest, status, text)
            if self.loses_answers:
                return 500, _problem("api_error", "lost"), False
            return status, text, False

    def _answered(self, method: str, target: str, body: str) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        form = dict(urllib.parse.parse_qsl(body))
        if path == "/v1/checkout/sessions" and method == "POST":
            return self._open_page(form)
        if path.startswith("/v1/checkout/sessions/"):
            page = self.sessions.get(path.rpartition("/")[2])
            if page is None:
                return 404, _problem("invalid_request_error", "No such checkout session")
            return 200, json.dumps(_public(page)).encode()
        if path == "/v1/disputes":
            found = [
                one
                for one in self.disputes.values()
                if one["payment_intent"] == asked["payment_intent"]
            ]
            return 200, json.dumps({"object": "list", "data": found, "has_more": False}).encode()
        if path == "/v1/refunds" and method == "POST":
            too_much = self._too_much(form)
            if too_much is not None:
                return too_much
        status, text = self._pass_on(method, target, body)
        if status == 200:
            text = self._completed(path, text)
            if method == "POST" and path == "/v1/refunds":
                self._say("refund.created", json.loads(text))
            if method == "POST" and path == "/v1/payment_intents":
                self._say("payment_intent.succeeded", json.loads(text))
        elif method == "POST" and path == "/v1/payment_intents":
            self._say("payment_intent.payment_failed", self._last_intent())
        return status, text

    def _open_page(self, form: dict[str, str]) -> tuple[int, bytes]:
        name = f"cs_test_{os.getpid()}_{next(self._numbers)}"
        tags = {
            key.partition("[")[2].rstrip("]"): value
            for key, value in form.items()
            if key.startswith("metadata[")
        }
        page: dict[str, Any] = {
            "id": name,
            "object": "checkout.session",
            "mode": form["mode"],
            "status": "open",
            "payment_status": "unpaid",
            "url": f"https://checkout.example/{name}",
            "payment_intent": None,
            "setup_intent": None,
            "customer": form.get("customer"),
            "metadata": tags,
            "payment_method_types": [form["payment_method_types[0]"]],
            "_tags": tags,
        }
        if form["mode"] == "payment":
            sums = [
                int(form[f"line_items[{number}][price_data][unit_amount]"])
                * int(form[f"line_items[{number}][quantity]"])
                for number in range(10)
                if f"line_items[{number}][quantity]" in form
            ]
            page |= {
                "amount_total": sum(sums),
                "currency": form["line_items[0][price_data][currency]"],
                "client_reference_id": form["client_reference_id"],
            }
            assert form["payment_intent_data[metadata][fairlead_purchase]"]
        else:
            wanted = urllib.parse.urlencode(
                {"customer": form["customer"], "payment_method_types[0]": "card"}
                | {f"metadata[{key}]": value for key, value in tags.items()}
            )
            status, text = self._pass_on("POST", "/v1/setup_intents", wanted)
            if status != 200:
                return status, text
            page["setup_intent"] = json.loads(text)["id"]
        self.sessions[name] = page
        return 200, json.dumps(_public(page)).encode()

    def _too_much(self, form: dict[str, str]) -> tuple[int, bytes] | None:
        payment = form["payment_intent"]
        if any(one["payment_intent"] == payment for one in self.disputes.values()):
            return 400, _problem("invalid_request_error", "The charge has been charged back.")
        intent = json.loads(self._pass_on("GET", f"/v1/payment_intents/{payment}", "")[1])
        made = json.loads(self._pass_on("GET", f"/v1/refunds?payment_intent={payment}", "")[1])
        if sum(one["amount"] for one in made["data"]) + int(form["amount"]) > intent["amount"]:
            return 400, _problem("invalid_request_error", "Refund amount is too large.")
        return None

    def _completed(self, path: str, text: bytes) -> bytes:
        """With what localstripe does not know, or says in another way."""
        if path.startswith("/v1/payment_intents"):
            intent = json.loads(text)
            if intent["object"] == "payment_intent" and intent["latest_charge"] is not None:
                intent["latest_charge"] = _charge(intent)
            return json.dumps(intent).encode()
        if path.startswith("/v1/charges/"):
            charge = json.loads(text)
            charge["disputed"] = any(
                one["charge"] == charge["id"] for one in self.disputes.values()
            )
            return json.dumps(charge).encode()
        if path.startswith("/v1/refunds"):
            found = json.loads(text)
            for one in found["data"] if found["object"] == "list" else [found]:
                one["status"] = self.refund_states.get(one["id"], one["status"])
            return json.dumps(found).encode()
        return text

    def _last_intent(self) -> dict[str, Any]:
        listed = json.loads(self._pass_on("GET", "/v1/payment_intents?limit=100", "")[1])
        return dict(max(listed["data"], key=lambda one: one["created"]))

    def _pass_on(self, method: str, target: str, body: str) -> tuple[int, bytes]:
        asked = urllib.request.Request(
            self._backend + target,
            data=body.encode() if method == "POST" else None,
            method=method,
            headers={
                "authorization": f"Bearer {SECRET_KEY}",
                "content-type": "application/x-www-form-urlencoded",
            },
        )
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _typed(error.code, error.read())


def signed(
    event: dict[str, Any], *, at_s: float, secret: str = WEBHOOK_SECRET
) -> tuple[bytes, str]:
    """An event's body and its `Stripe-Signature`."""
    body = json.dumps(event).encode()
    moment = str(int(at_s))
    digest = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return body, f"t={moment},v1={digest}"


def _public(page: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in page.items() if not name.startswith("_")}


def _charge(intent: dict[str, Any]) -> str:
    charge = intent["latest_charge"]
    return str(charge["id"] if isinstance(charge, dict) else charge)


def _problem(kind: str, message: str) -> bytes:
    return json.dumps({"error": {"type": kind, "message": message}}).encode()


def _typed(status: int, text: bytes) -> bytes:
    """localstripe leaves out what kind of error it is, by which the library goes."""
    try:
        problem = json.loads(text)
        error = problem["error"]
    except (ValueError, KeyError, TypeError):
        return _problem("api_error", "no JSON")
    error.setdefault("type", "card_error" if status == 402 else "invalid_request_error")
    return json.dumps(problem).encode()


@contextmanager
def stripe_server() -> Iterator[StripeServer]:
    """Runs until the end of the block."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        backend = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    server = StripeServer(backend)
    try:
        with _serving(server):
            yield server
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def _serving(server: StripeServer) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Or the body of each answer waits until its head is acknowledged.
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            key = self.headers.get("idempotency-key", "")
            status, text, is_replayed = server.answer(self.command, self.path, body, key)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.send_header("request-id", "req_test")
            if is_replayed:
                self.send_header("idempotent-replayed", "true")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as front:
        front.daemon_threads = True
        server.url = f"http://127.0.0.1:{front.server_port}"
        thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            front.shutdown()
            thread.join(PATIENCE_S)
