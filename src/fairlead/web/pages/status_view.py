"""What the status page shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead.control.standings.incidents import Incident, Severity
from fairlead.control.standings.types import ProviderUptime, ProviderUptimes, Told
from fairlead.core.catalog import Snapshot
from fairlead.core.ids import ModelId, ProviderSlug
from fairlead.web.pages import shown
from fairlead.web.pages.model_list import HIDDEN_MODEL, model_path, short_name
from fairlead.web.pages.provider_view import provider_path
from fairlead.web.pages.uptime_view import Strip, level, strip

__all__ = ["IncidentRow", "ProviderLine", "Status", "status"]

MODELS_NAMED_MAX: Final = 6
_MS_PER_S: Final = 1000
_WORDS: Final[Mapping[Severity, tuple[str, str]]] = {
    Severity.OUTAGE: ("Outage", "danger"),
    Severity.DEGRADED: ("Degraded", "warning"),
}


@dataclass(frozen=True, slots=True)
class Named:
    """path: "": it has none any more."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """anchor: of the page, and what the feed knows it by. models: the first of them; more: how many others."""

    anchor: str
    provider: Named
    word: str
    tone: str
    is_ongoing: bool
    start_s: int
    end_s: int
    hours: str
    title: str
    sentence: str
    models: tuple[Named, ...]
    more: int


@dataclass(frozen=True, slots=True)
class ProviderLine:
    provider: Named
    word: str
    tone: str
    calls: int
    today: float | None
    today_level: str
    quarter: float | None
    quarter_level: str
    days: Strip


@dataclass(frozen=True, slots=True)
class Status:
    """headline and tone say how it is now. uptime: of all calls of a day; None: there were none."""

    headline: str
    tone: str
    uptime: float | None
    calls: int
    providers: tuple[ProviderLine, ...]
    ongoing: tuple[IncidentRow, ...]
    past: tuple[IncidentRow, ...]


def status(
    snapshot: Snapshot,
    today: Mapping[str, Told],
    quarter: ProviderUptimes,
    incidents: Sequence[Incident],
) -> Status:
    """today: by provider. quarter: 90 days."""
    rows = [_incident_row(one, snapshot) for one in incidents]
    ongoing = tuple(one for one in rows if one.is_ongoing)
    in_trouble = {one.provider: one for one in reversed(incidents) if one.is_ongoing}
    lines = [
        _provider_line(one, quarter.starts_ms, today.get(one.provider), in_trouble, snapshot)
        for one in quarter.providers
    ]
    answered = sum(one.successes for one in today.values())
    calls = sum(one.calls for one in today.values())
    headline, tone = _headline(ongoing, has_calls=bool(lines))
    return Status(
        headline=headline,
        tone=tone,
        uptime=answered / calls if calls else None,
        calls=calls,
        providers=tuple(sorted(lines, key=lambda one: (one.tone in ("", "success"), -one.calls))),
        ongoing=ongoing,
        past=tuple(one for one in rows if not one.is_ongoing),
    )


def _headline(ongoing: Sequence[IncidentRow], *, has_calls: bool) -> tuple[str, str]:
    if not has_calls:
        return "Nothing was called lately, so nothing is known of the providers.", "info"
    if not ongoing:
        return "Every provider that was called answers.", "success"
    names = sorted({one.provider.name for one in ongoing})
    said = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    is_out = any(one.word == _WORDS[Severity.OUTAGE][0] for one in ongoing)
    return f"Trouble at {said}. Calls go to other providers where there are any.", (
        "danger" if is_out else "warning"
    )


def _provider_line(
    quarter: ProviderUptime,
    starts_ms: Sequence[int],
    today: Told | None,
    in_trouble: Mapping[str, Incident],
    snapshot: Snapshot,
) -> ProviderLine:
    incident = in_trouble.get(quarter.provider)
    if incident is not None:
        word, tone = _WORDS[incident.severity]
    elif today is None or today.uptime is None:
        word, tone = "Not called lately", ""
    else:
        word, tone = "Answers", "success"
    uptime = None if today is None else today.uptime
    return ProviderLine(
        provider=_provider(quarter.provider, snapshot),
        word=word,
        tone=tone,
        calls=sum(quarter.successes) + sum(quarter.outages),
        today=uptime,
        today_level=level(uptime),
        quarter=quarter.uptime,
        quarter_level=level(quarter.uptime),
        days=strip(
            [quarter.uptime_at(place) for place in range(len(starts_ms))], starts_ms, unit="day"
        ),
    )


def _incident_row(incident: Incident, snapshot: Snapshot) -> IncidentRow:
    provider = _provider(incident.provider, snapshot)
    word, tone = _WORDS[incident.severity]
    models = list(dict.fromkeys(one.model for one in incident.affected))
    start_s, end_s = incident.start_ms // _MS_PER_S, incident.end_ms // _MS_PER_S
    return IncidentRow(
        anchor=f"{incident.provider}-{start_s}",
        provider=provider,
        word=word,
        tone=tone,
        is_ongoing=incident.is_ongoing,
        start_s=start_s,
        end_s=end_s,
        hours=shown.plural(round((end_s - start_s) / 3600), "hour"),
        title=f"{provider.name}: {word.lower()} of {shown.plural(len(models), 'model')}",
        sentence=f"{incident.outages:,} of {shown.plural(incident.calls, 'call')} failed"
        f" ({shown.share(1 - incident.uptime, places=0)}).",
        models=tuple(_model(one, snapshot) for one in models[:MODELS_NAMED_MAX]),
        more=max(0, len(models) - MODELS_NAMED_MAX),
    )


def _provider(slug: str, snapshot: Snapshot) -> Named:
    info = snapshot.providers.get(ProviderSlug(slug))
    return Named(slug, "") if info is None else Named(info.name, provider_path(slug))


def _model(model_id: str, snapshot: Snapshot) -> Named:
    if model_id in snapshot.hidden:
        return Named(HIDDEN_MODEL, "")
    model = snapshot.models.get(ModelId(model_id))
    if model is None:
        return Named(model_id, "")
    return Named(short_name(model), model_path(model_id))
