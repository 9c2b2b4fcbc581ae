"""`fairlead route replay`: stored decisions made again, as they were and under other preferences."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fairlead.cli import opening
from fairlead.cli.errors import BROKEN, Stop
from fairlead.cli.opening import Place, located
from fairlead.cli.tables import print_rows

if TYPE_CHECKING:
    from fairlead.control.catalog.versions import CatalogVersions
    from fairlead.control.generations.service import GenerationStore
    from fairlead.core.catalog import Snapshot
    from fairlead.core.generation import Generation
    from fairlead.core.replay import Report, Wishes

__all__ = ["SnapshotShelf", "replay", "since_ms", "wishes_in"]

SINCE_MAX_S: Final = 366 * 86_400
SNAPSHOTS_HELD_MAX: Final = 4  # some 20 MB each; calls of one time have one version
SHOW_EVERY: Final = 1000
BODY_BYTES_MAX: Final = 1 << 20

_SPAN: Final = re.compile(r"(\d{1,9})([smhdw])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_MS_PER_S: Final = 1000


@click.command("replay")
@click.option(
    "--since", default="7d", metavar="SPAN", help="How far back, as 90m, 12h or 7d.  [default: 7d]"
)
@click.option(
    "--preferences",
    "preferences_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A `provider` object as JSON: its fields replace those of each call.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@located
def replay(place: Place, since: str, preferences_file: Path | None, *, as_json: bool) -> int:
    """Make stored decisions again and count those that come out as they were. Nothing is sent.

    With --preferences, also say what those preferences would have changed: the cost at the prices of the
    endpoints that would have been first, and the latency and the failures that were measured there in the same
    hour. Exits with 1 if a decision comes out differently under its own preferences.
    """
    from fairlead.control.catalog.versions import CatalogVersions
    from fairlead.control.generations.service import GenerationStore
    from fairlead.core.replay import Measured, Replay
    from fairlead.core.routing.planner import plan

    from_ms = since_ms(since, now_ms=opening.now_ms())
    wishes = None if preferences_file is None else wishes_in(preferences_file)
    settings = opening.load_settings(place, opening.seed().providers)
    data = opening.create_data_directory(place.data)
    measured = Measured()
    again = Replay(plan, measured, wishes)
    with opening.opened_database(settings, data) as database, opening.stop_on_database_trouble():
        store = GenerationStore(database, journals=None)
        shelf = SnapshotShelf(CatalogVersions(database, now_ms=opening.now_ms))
        with opening.progress("Reading what was measured ...") as show:
            if wishes is not None:
                for count, generation in enumerate(_generations(store, from_ms), 1):
                    measured.note(generation)
                    if not count % SHOW_EVERY:
                        show(f"Reading what was measured: {count} calls ...")
            for count, generation in enumerate(_generations(store, from_ms), 1):
                again.add(generation, shelf.snapshot_of(generation))
                if not count % SHOW_EVERY:
                    show(f"Replaying: {count} decisions ...")
    report = again.report()
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        _print(report, is_compared=wishes is not None)
    return BROKEN if report.agreeing < report.replayed else 0


def since_ms(span: str, *, now_ms: int) -> int:
    """The moment so long ago. Raises Stop."""
    found = _SPAN.fullmatch(span.strip())
    seconds = int(found[1]) * _UNIT_S[found[2]] if found is not None else 0
    if not 0 < seconds <= SINCE_MAX_S:
        raise Stop(f"--since: {span!r} is no span of up to a year, as 90m, 12h or 7d")
    return now_ms - seconds * _MS_PER_S


def wishes_in(path: Path) -> Wishes:
    """The preferences in a file. Raises Stop, with the field that is wrong."""
    import msgspec

    from fairlead.core.chat import ProviderPreferences
    from fairlead.core.errors import RequestInvalid
    from fairlead.core.replay import Wishes
    from fairlead.core.routing.preferences import NO_ACCOUNT_WISHES
    from fairlead.core.routing.wishes import preferences_of

    try:
        with path.open("rb") as file:
            text = file.read(BODY_BYTES_MAX)
    except OSError as error:
        raise Stop(f"--preferences: cannot read {path}: {error.strerror or error}") from error
    try:
        named = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        provider = msgspec.json.decode(text, type=ProviderPreferences)
        preferences = preferences_of(provider, NO_ACCOUNT_WISHES)
    except msgspec.DecodeError as error:
        raise Stop(f"--preferences: {path}: {error}") from error
    except RequestInvalid as error:
        raise Stop(f"--preferences: {path}: {error.message.rstrip('.')}") from error
    unknown = [name for name in named if name not in _FIELDS]
    if unknown:
        known = ", ".join(_FIELDS)
        raise Stop(f"--preferences: {path}: {unknown[0]!r} is none of {known}")
    changed = {field for name in named for field in _FIELDS[name]}
    return Wishes(preferences, frozenset(changed))


# The fields of a `provider` object that decide where a call goes, and the preferences that each stands for.
_FIELDS: Final = {
    "order": ("order",),
    "only": ("only",),
    "ignore": ("ignore",),
    "allow_fallbacks": ("allow_fallbacks",),
    "require_parameters": ("require_parameters",),
    "data_collection": ("no_training",),
    "zdr": ("zdr",),
    "enforce_distillable_text": ("enforce_distillable_text",),
    "quantizations": ("quantizations",),
    "sort": ("sort", "partition"),
    "max_price": ("max_price",),
    "preferred_min_throughput": ("preferred_min_throughput",),
    "preferred_max_latency": ("preferred_max_latency",),
}


class SnapshotShelf:
    """The catalogues of stored decisions, the last few held."""

    def __init__(self, versions: CatalogVersions) -> None:
        self._versions = versions
        self._contents: dict[str, list[tuple[int, str]]] = {}  # by version; as many as are kept
        self._held: OrderedDict[str, Snapshot | None] = OrderedDict()  # by digest

    def snapshot_of(self, generation: Generation) -> Snapshot | None:
        """None: not kept, or unreadable. Raises DatabaseUnreadable."""
        from fairlead.control.catalog.versions import VersionUnreadable, digest_at

        version = generation.catalog_version
        contents = self._contents.get(version)
        if contents is None:
            contents = self._versions.contents(version)
            if contents:
                self._contents[version] = contents
        digest = digest_at(contents, round(generation.created_s * _MS_PER_S))
        if digest is None:
            return None
        if digest not in self._held:
            try:
                self._held[digest] = self._versions.content(version, digest)
            except VersionUnreadable:
                self._held[digest] = None
            if len(self._held) > SNAPSHOTS_HELD_MAX:
                self._held.popitem(last=False)
        return self._held[digest]


def _generations(store: GenerationStore, from_ms: int) -> Iterator[Generation]:
    from fairlead.store.records import RecordUnreadable, unpack

    for record in store.records(since_ms=from_ms):
        try:
            yield unpack(record)
        except RecordUnreadable as error:
            raise Stop(f"a generation's record cannot be read: {error}") from error


def _print(report: Report, *, is_compared: bool) -> None:
    rows = [
        ("calls", str(report.generations)),
        ("without a decision", str(report.undecided)),
        ("decided by other rules", str(report.of_other_rules)),
        ("catalogue not kept", str(report.without_catalogue)),
        ("replayed", str(report.replayed)),
        ("came out as they were", _share(report.agreeing, report.replayed)),
    ]
    if is_compared:
        rows += _compared(report)
    print_rows(("REPLAY", ""), rows)
    for generation in report.differing:
        opening.note(f"Came out differently: {generation}")


def _compared(report: Report) -> list[tuple[str, str]]:
    from fairlead.core.money import usd

    before, after = usd(report.cost_before), usd(report.cost_after)
    rows = [
        ("same first endpoint", _share(report.unchanged, report.replayed)),
        ("another first endpoint", _share(report.moved, report.replayed)),
        ("refused: no endpoint left", _share(report.refused, report.replayed)),
        ("cost", f"${before:.6f} -> ${after:.6f}{_change(before, after)}, {report.costed} calls"),
    ]
    if report.timed:
        was_ms = report.latency_before_ms / report.timed
        is_ms = report.latency_after_ms / report.timed
        change = _change(was_ms, is_ms)
        rows.append(
            ("mean latency", f"{was_ms:.0f} ms -> {is_ms:.0f} ms{change}, {report.timed} calls")
        )
    if report.judged:
        failures = f"{report.failures_before} -> {report.failures_after:.1f} expected"
        rows.append(("first attempts that failed", f"{failures}, {report.judged} moved calls"))
    return rows


def _share(count: int, whole: int) -> str:
    return f"{count} ({count / whole:.1%})" if whole else str(count)


def _change(before: float, after: float) -> str:
    return f" ({(after - before) / before:+.1%})" if before else ""
