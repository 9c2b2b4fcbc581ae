"""The last step of every snapshot: what follows from its models alone. Pure.

Tiers as endpoints, the names that models answer to, the newest of each family, and the chat models as
routers compare them. All of it is made once, so that a call looks it up.
"""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.core.catalog import Model, ProviderInfo, Snapshot
from fairlead.core.catalog_contenders import contenders_of
from fairlead.core.catalog_families import families_of
from fairlead.core.catalog_names import accepted_names
from fairlead.core.catalog_quality import Record
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.core.service_tiers import with_tiers

__all__ = ["assembled"]


def assembled(
    *,
    version: str,
    as_of: str,
    models: Mapping[ModelId, Model],
    providers: Mapping[ProviderSlug, ProviderInfo],
    records: Mapping[ModelId, Record],
    names: Mapping[str, ModelId] | None = None,
    hidden: frozenset[ModelId] = frozenset(),
) -> Snapshot:
    """models: without endpoints of tiers. records: what benchmarks say of them. names: that they answer to;
    None: as many as they can have. hidden: what the operator took out."""
    models = with_tiers(models)
    return Snapshot(
        version=version,
        as_of=as_of,
        models=models,
        providers=providers,
        names=accepted_names(models, providers) if names is None else names,
        records=records,
        families=families_of(models.values(), providers),
        contenders=contenders_of(models.values(), providers, records),
        hidden=hidden,
    )
