"""Presets are a workspace's own, in versions.

Those that accounts had among their preferences become the first version in every workspace of the account,
because keys of all of them could call them. The text that they come from stays: a server of the version before
reads it as long as it runs.
"""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import UUID, uuid5

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_NAMES: Final = UUID("6f5a1f2c-4f2e-5d58-8a4e-3c7b0f1f9d21")  # for ever


def upgrade() -> None:
    op.create_table(
        "presets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_updated_ms", sa.BigInteger(), nullable=True),
        sa.Column("creator_user_id", sa.Text(), nullable=True),
        sa.Column("designated_version_id", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_presets")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_presets_account_id")
        ),
        sa.UniqueConstraint("workspace_id", "slug", name=op.f("uq_presets_workspace_id_slug")),
        sa.CheckConstraint(
            "status IN ('active', 'disabled', 'archived')", name=op.f("ck_presets_status")
        ),
    )
    op.create_index(op.f("ix_presets_account_id"), "presets", ["account_id"])
    op.create_table(
        "preset_versions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("preset_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=True),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("creator_user_id", sa.Text(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preset_versions")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_preset_versions_account_id")
        ),
        sa.UniqueConstraint(
            "preset_id", "version", name=op.f("uq_preset_versions_preset_id_version")
        ),
    )
    op.create_index(op.f("ix_preset_versions_account_id"), "preset_versions", ["account_id"])
    take_over()


def take_over() -> None:
    """The presets that there were."""
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT a.id, a.preferences, a.created_ms, w.id AS workspace_id"
            " FROM accounts a JOIN workspaces w ON w.account_id = a.id"
            " WHERE w.deleted_ms IS NULL AND a.preferences LIKE '%\"presets\"%'"
        )
    ).all()
    for account, preferences, created_ms, workspace in rows:
        for slug, config in presets_in(preferences).items():
            preset = str(uuid5(_NAMES, f"{workspace} {slug}"))
            version = str(uuid5(_NAMES, f"{preset} 1"))
            common = {"account": account, "created_ms": created_ms}
            connection.execute(
                sa.text(
                    "INSERT INTO presets (id, account_id, workspace_id, slug, name, status,"
                    " designated_version_id, created_ms, updated_ms)"
                    " VALUES (:id, :account, :workspace, :slug, :slug, 'active',"
                    " :version, :created_ms, :created_ms)"
                ),
                {**common, "id": preset, "workspace": workspace, "slug": slug, "version": version},
            )
            connection.execute(
                sa.text(
                    "INSERT INTO preset_versions (id, account_id, preset_id, version, config,"
                    " created_ms) VALUES (:id, :account, :preset, 1, :config, :created_ms)"
                ),
                {**common, "id": version, "preset": preset, "config": json.dumps(config)},
            )


def presets_in(preferences: str) -> dict[str, Any]:
    """By slug. Of a text that is none of ours: nothing."""
    try:
        found = json.loads(preferences).get("presets")
    except (ValueError, AttributeError):
        return {}
    presets = found if isinstance(found, dict) else {}
    return {slug: config for slug, config in presets.items() if isinstance(config, dict)}
