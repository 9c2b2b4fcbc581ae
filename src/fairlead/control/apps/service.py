"""Apps that ask people for a key (OAuth with PKCE, RFC 7636).

An app sends a person to our consent page. What they agree to there is kept behind a code, which goes to the
app's callback, or is shown for copying where the app has none. The app exchanges the code for the key, once
and within ten minutes, and with the verifier of its challenge if it sent one. The key is the person's: it is
made when the code is exchanged, so a code that nobody comes for leaves no key behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from fairlead.control.apps import queries, rules
from fairlead.control.apps.types import (
    AskingApp,
    ChallengeMethod,
    CodeRefused,
    CodeRequest,
    Grant,
    NewCode,
    TooManyCodes,
)
from fairlead.control.audit.service import Audit
from fairlead.control.audit.types import Actor
from fairlead.control.keys import rules as key_rules
from fairlead.control.keys.service import Keys
from fairlead.control.keys.types import KeyInvalid, NewKey
from fairlead.control.usage.app_register import registered
from fairlead.control.usage.apps import claim
from fairlead.control.workspaces.service import Workspaces
from fairlead.control.workspaces.types import WorkspaceUnknown
from fairlead.core.generation import Attribution
from fairlead.core.ids import AccountId, UserId
from fairlead.store.database import Database

__all__ = ["Apps"]

NO_APP: Final = 0  # headless ones are nobody in particular
KEPT_MS: Final = 24 * 3600 * 1000  # so long an app that comes late is told what became of its code


class Apps:
    """Methods block.

    apps = Apps(database, keys=keys, workspaces=workspaces, audit=audit, now_ms=..., entropy=os.urandom)
    new = apps.consent(account, user, CodeRequest("https://app.example/back"), actor=actor)
    key = apps.exchange(new.code, verifier=None, method=None)

    All raise DatabaseUnreadable if the database is away.
    """

    def __init__(
        self,
        database: Database,
        *,
        keys: Keys,
        workspaces: Workspaces,
        audit: Audit,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._keys = keys
        self._workspaces = workspaces
        self._audit = audit
        self._now_ms = now_ms
        self._entropy = entropy

    def describe(self, request: CodeRequest) -> AskingApp:
        """Who asks, for the person to see. Raises ConsentInvalid and KeyInvalid, as `consent` will."""
        app = rules.asking_app(request.callback_url)
        rules.check_request(request)
        key_rules.check_limit(request.limit)
        key_rules.check_expiry(request.expires_ms, now_ms=self._now_ms())
        return app

    def consent(
        self, account: AccountId, user: UserId | None, request: CodeRequest, *, actor: Actor
    ) -> NewCode:
        """The person has agreed. Raises ConsentInvalid, KeyInvalid, WorkspaceUnknown, TooManyCodes."""
        app, now_ms = self.describe(request), self._now_ms()
        key_name = key_rules.name(request.key_name or app.title)
        code = rules.code_of(self._entropy(rules.CODE_ENTROPY_BYTES))
        with self._database.begin() as connection:
            self._database.lock(connection, f"codes {account}")
            if queries.count_waiting(connection, account, now_ms=now_ms) >= rules.CODES_WAITING_MAX:
                raise TooManyCodes(
                    f"{rules.CODES_WAITING_MAX} codes of this account wait to be exchanged already;"
                    " they expire within ten minutes"
                )
            workspace = self._workspaces.default_of(account)
            if request.workspace is not None:
                workspace = self._workspaces.find_within(connection, account, request.workspace).id
            grant = Grant(
                digest=rules.digest(code),
                account=account,
                user=user,
                app_id=self._app_id(connection, account, app, now_ms),
                challenge=request.challenge,
                method=_method(request),
                key_name=key_name,
                key_workspace=workspace,
                key_limit=request.limit,
                key_limit_reset=request.limit_reset,
                key_expires_ms=request.expires_ms,
                created_ms=now_ms,
                expires_ms=now_ms + rules.CODE_LIFE_MS,
            )
            queries.insert(connection, grant)
            self._audit.note(
                connection, account, actor, "app.consent", str(grant.app_id), app=app.title,
                name=key_name, limit_nano=request.limit,
            )  # fmt: skip
        redirect_to = None if app.callback is None else rules.redirection(app.callback, code)
        return NewCode(grant.app_id, now_ms, code, redirect_to)

    def exchange(
        self, code: str, *, verifier: str | None, method: ChallengeMethod | None
    ) -> NewKey:
        """The key for a code: to the first who comes with it and its verifier.

        Raises CodeRefused; ConsentInvalid for another method than that of the challenge.
        """
        digest, now_ms = rules.digest(code), self._now_ms()
        with self._database.begin() as connection:
            grant = rules.check_exchange(
                queries.by_digest(connection, digest), method=method, now_ms=now_ms
            )
            if rules.is_verified(grant, verifier):
                # Who makes the person leave the account waits for this, or this for them.
                self._database.lock(connection, f"organisation {grant.account}")
                if not queries.take(connection, digest, now_ms=now_ms):
                    raise CodeRefused("this code was used: it works once")
                return self._key_within(connection, grant)
            queries.note_wrong(connection, digest)
        raise CodeRefused("`code_verifier` is not that of this code")

    def sweep(self) -> int:
        """Forget codes that expired a day ago. Returns how many."""
        with self._database.begin() as connection:
            return queries.delete_expired(connection, before_ms=self._now_ms() - KEPT_MS)

    def _key_within(self, connection: sa.Connection, grant: Grant) -> NewKey:
        try:
            workspace = self._workspaces.find_within(connection, grant.account, grant.key_workspace)
            if grant.user is not None and not self._workspaces.works_in(
                connection, workspace, grant.user
            ):
                raise CodeRefused("whoever agreed to this does not work there any more")
            return self._keys.create_within(
                connection,
                grant.account,
                name=grant.key_name,
                limit=grant.key_limit,
                limit_reset=grant.key_limit_reset,
                expires_ms=grant.key_expires_ms,
                workspace=workspace.id,
                creator=grant.user,
                app_id=grant.app_id,
                actor=Actor(f"app {grant.app_id}"),
            )
        except KeyInvalid as error:
            raise CodeRefused("the key that was agreed to would have expired by now") from error
        except WorkspaceUnknown as error:
            raise CodeRefused("the workspace that was agreed to is gone") from error

    def _app_id(
        self, connection: sa.Connection, account: AccountId, app: AskingApp, now_ms: int
    ) -> int:
        if app.callback is None:
            return NO_APP
        claimed = claim(Attribution(referer=app.callback.origin, title=app.title))
        assert claimed is not None, "a callback has a host, and we give it a title"
        found = registered(self._database, connection, account, claimed, now_ms=now_ms)
        return NO_APP if found is None else found.id


def _method(request: CodeRequest) -> ChallengeMethod | None:
    """RFC 7636, section 4.3: plain where nothing is said."""
    if request.challenge is None:
        return None
    return request.method or ChallengeMethod.PLAIN
