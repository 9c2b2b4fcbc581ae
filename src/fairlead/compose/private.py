"""What is private of accounts, plugged together: secrets at rest, own credentials, kept contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead.control.audit.service import Audit
from fairlead.control.contents.service import Contents
from fairlead.control.credentials.service import Credentials
from fairlead.control.credentials.terms import byok_terms, discount_permille
from fairlead.control.serving.belongings import BelongingsDirectory, BelongingsReader
from fairlead.control.serving.contents import ContentWriter
from fairlead.core.catalog import Snapshot
from fairlead.settings import Settings, revealed
from fairlead.store.database import Database
from fairlead.store.secrets import Secrets, open_secrets

__all__ = ["PrivateServices", "build_private"]


@dataclass(frozen=True, slots=True)
class PrivateServices:
    """belongings and writer belong to the event loop; the rest blocks."""

    secrets: Secrets
    credentials: Credentials
    contents: Contents
    belongings: BelongingsDirectory
    writer: ContentWriter


def build_private(
    database: Database,
    settings: Settings,
    data: Path,
    *,
    audit: Audit,
    snapshot: Callable[[], Snapshot],
    monotonic_s: Callable[[], float],
    now_ms: Callable[[], int],
    entropy: Callable[[int], bytes],
) -> PrivateServices:
    """snapshot: the catalogue in force. Raises MasterKeyUnusable."""
    secrets, keys = open_secrets(
        database, revealed(settings.security.master_key), data, now_ms=now_ms, entropy=entropy
    )
    credentials = Credentials(
        database,
        secrets,
        keys,
        snapshot,
        now_ms=now_ms,
        entropy=entropy,
        audit=audit,
    )
    contents = Contents(
        database,
        secrets,
        retention_days=settings.privacy.content_retention_days,
        now_ms=now_ms,
    )
    return PrivateServices(
        secrets=secrets,
        credentials=credentials,
        contents=contents,
        belongings=BelongingsDirectory(
            BelongingsReader(database, credentials, lambda: snapshot().providers),
            database,
            monotonic_s=monotonic_s,
            terms=byok_terms(settings.byok),
            discount_permille=discount_permille(settings.privacy),
        ),
        writer=ContentWriter(contents, database),
    )
