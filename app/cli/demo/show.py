"""The demo from beginning to end: `todoke demo`."""

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from app.cli.demo import cast, ledger
from app.cli.demo.installation import Installation
from app.platform import bell, clock
from app.platform.database import owner_session
from app.platform.rendering import japanese_date, phrases
from app.platform.settings import PROJECT_DIRECTORY, settings
from app.registry.loading import load_registry
from app.registry.versions import publish
from app.sandbox.servers import Sandbox, sandbox

DEMO_DAY = dt.date(2026, 11, 24)
DEMO_HOUR = 10
GENERATED = 2_000
LEDGER = PROJECT_DIRECTORY / "registry_data" / "demo" / "ledger.txt"
_CHANNELS = ("webhook", "email", "line")
_PATIENCE_SECONDS = 600
_console = Console(highlight=False, soft_wrap=True)


class DemoFailed(RuntimeError):
    """The demo did not do what it should; the text says what."""


def run(directory: Path, *, once: bool, generated: int = GENERATED, write_ledger: bool = False) -> None:
    """Run the demo.

    Args:
        directory: where its servers keep their files; emptied first.
        once: end after the summary instead of staying up until Ctrl-C.
        generated: how many generated households.
        write_ledger: write the ledger instead of comparing with it.

    Raises:
        DemoFailed: something did not arrive, a signature was refused, or the ledger differs.
    """
    with sandbox() as stand_ins, Installation(directory, _settings_for(stand_ins)) as installation:
        _say("servers_up")
        clock.shift_to(clock.at_japan_time(DEMO_DAY, DEMO_HOUR))
        named, app = _store(stand_ins, generated)
        installation.start_web()
        stand_ins.line_server.platform.webhook_url = f"{installation.url}/line/webhook"
        installation.start_worker("matcher", bell.WORK_QUEUE, 2)
        _wait("planning", _unplanned)
        cast.play_what_happened(cast.read_cast(settings().registry_directory), named)
        _wait("replanning", _unplanned)
        installation.start_worker("sender", bell.DELIVERY_QUEUE, 1)
        installation.start_beat()
        bell.ring_dispatch()
        _wait("sending", _unsent)
        arrivals = ledger.Arrivals.of(stand_ins)
        _print_summary(stand_ins, arrivals)
        found = ledger.lines(named, arrivals)
        _check(found, arrivals, write_ledger=write_ledger)
        _print_addresses(installation, stand_ins, named, app)
        if not once:
            _stay_up()


def run_empty(directory: Path) -> None:
    """Run Todoke in real time with the registry published and nobody in it, until Ctrl-C."""
    with sandbox() as stand_ins:
        extra = {**_settings_for(stand_ins), "TODOKE_DEMO": "false"}
        with Installation(directory, extra, fresh=False) as installation:
            _publish()
            installation.start_web()
            stand_ins.line_server.platform.webhook_url = f"{installation.url}/line/webhook"
            installation.start_worker("matcher", bell.WORK_QUEUE, 1)
            installation.start_worker("sender", bell.DELIVERY_QUEUE, 1)
            installation.start_beat()
            _say("parents", url=installation.url)
            _say("mails", url=stand_ins.mail_sink.url)
            _stay_up()


def _publish() -> None:
    registry = load_registry(settings().registry_directory)
    with owner_session() as session:
        report = publish(session, registry, clock.now())
        session.commit()
    _say("registry_published", programmes=len(registry.programmes), added=len(report.added))


def _store(stand_ins: Sandbox, generated: int) -> tuple[dict[str, uuid.UUID], cast.PartnerApp]:
    _publish()
    app = cast.register_sample_app(stand_ins.partner_app.webhook_url)
    stand_ins.partner_app.secrets.append(app.secret)
    named = cast.store_named(cast.read_cast(settings().registry_directory), app)
    stored = cast.store_generated(generated, app, clock.today())
    _say("households_stored", named=len(named), generated=stored)
    return named, app


def _settings_for(stand_ins: Sandbox) -> dict[str, str]:
    return {
        "TODOKE_DEMO": "true",
        "TODOKE_EMAIL__HOST": stand_ins.mail_sink.smtp_host,
        "TODOKE_EMAIL__PORT": str(stand_ins.mail_sink.smtp_port),
        "TODOKE_LINE__BASE_URL": stand_ins.line_server.url,
        "TODOKE_LINE__CHANNEL_TOKEN": stand_ins.line_server.channel_token,
        "TODOKE_LINE__CHANNEL_SECRET": stand_ins.line_server.platform.channel_secret,
        "TODOKE_LINE__BOT_USER_ID": stand_ins.line_server.platform.bot_user_id,
        "TODOKE_LINE__LINK_DIALOG_URL": f"{stand_ins.line_server.url}/dialog/bot/accountLink",
        "TODOKE_OUTBOUND__ALLOWED_PRIVATE": json.dumps(["127.0.0.0/8"]),
    }


def _unplanned() -> int:
    with owner_session() as session:
        changes = session.execute(text("SELECT count(*) FROM changes")).scalar_one()
        due = session.execute(
            text("SELECT count(*) FROM entitlements WHERE announced_at IS NULL AND announce_on <= :today"),
            {"today": clock.today()},
        ).scalar_one()
    if changes:
        bell.ring(bell.MATCH)
    elif due:
        bell.ring(bell.ANNOUNCE)
    return int(changes) + int(due)


def _unsent() -> int:
    with owner_session() as session:
        return int(
            session.execute(
                text("SELECT count(*) FROM deliveries WHERE state IN ('scheduled', 'sending', 'retrying')")
            ).scalar_one()
        )


def _wait(what: str, remaining: Callable[[], int]) -> None:
    """Wait until nothing remains, showing how much does."""
    name = _word(what)
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with _console.status(name) as status:
        while left := remaining():
            if time.monotonic() > give_up_at:
                raise DemoFailed(f"{what}: {left} left after {_PATIENCE_SECONDS} seconds; see the logs of the workers")
            status.update(_word("remaining", what=name, left=left))
            time.sleep(0.3)
    _say("finished", what=name)


def _print_summary(stand_ins: Sandbox, arrivals: ledger.Arrivals) -> None:
    counts = ledger.totals()
    title = _word("summary_title", day=japanese_date(DEMO_DAY))
    table = Table("", _word("summary_count"), title=title, title_justify="left")
    for name in ("households", "entitlements", "notices"):
        table.add_row(_word(name), f"{counts[name]:,}")
    for channel in _CHANNELS:
        done = counts.get(f"{channel} delivered", 0) + counts.get(f"{channel} accepted", 0)
        figures = {"done": done, "arrived": arrivals.count(channel), "stopped": counts.get(f"{channel} cancelled", 0)}
        shown = {name: f"{figure:,}" for name, figure in figures.items()}
        table.add_row(_word("deliveries", channel=_words()["channels"][channel]), _word("delivery_counts", **shown))
    verified = f"{stand_ins.partner_app.counts.verified:,}"
    table.add_row(_word("signatures"), _word("signature_counts", verified=verified, refused=arrivals.refused))
    _console.print(table)


def _check(found: Sequence[str], arrivals: ledger.Arrivals, *, write_ledger: bool) -> None:
    _say("ledger_title", heading=ledger.HEADING.removeprefix("# "))
    for line in found:
        _console.print(f"  {line}")
    if write_ledger:
        LEDGER.write_text("\n".join([ledger.HEADING, *found]) + "\n", encoding="utf-8")
    if wrong := ledger.differences(found, LEDGER):
        raise DemoFailed("the ledger differs from the committed one:\n" + "\n".join(wrong))
    silent_of = {
        role.name: role.twin_of for role in cast.read_cast(settings().registry_directory) if role.twin_of is not None
    }
    if wrong := ledger.twins_that_differ_wrongly(found, silent_of):
        raise DemoFailed("; ".join(wrong))
    if arrivals.refused:
        raise DemoFailed(f"{arrivals.refused} signatures were refused by the sample app")
    counts = ledger.totals()
    for channel in _CHANNELS:
        done = counts.get(f"{channel} delivered", 0) + counts.get(f"{channel} accepted", 0)
        if not 0 < done == arrivals.count(channel):
            raise DemoFailed(f"{channel}: {done} sent, {arrivals.count(channel)} arrived; expected as many, and some")
    _say("ledger_equal")


def _print_addresses(
    installation: Installation, stand_ins: Sandbox, named: Mapping[str, uuid.UUID], app: cast.PartnerApp
) -> None:
    shown = ("newborn-setagaya", "four-children", "single-parent")
    families = {name: named[name] for name in shown}
    addresses = {
        **{_word(label, name=name): url for (label, name), url in cast.sign_in_addresses(families, app).items()},
        _word("address_of_newcomer"): installation.url,
        _word("address_of_app"): stand_ins.partner_app.url,
        _word("address_of_mails"): stand_ins.mail_sink.url,
        _word("address_of_line"): stand_ins.line_server.url,
        _word("address_of_logs"): str(installation.directory),
    }
    _say("addresses")
    for name, address in addresses.items():
        _console.print(f"  {name}: {address}")


def _stay_up() -> None:
    _say("stop_hint")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _say("stopping")


def _say(phrase: str, /, **values: object) -> None:
    _console.print(_word(phrase, **values))


def _word(phrase: str, /, **values: object) -> str:
    return str(_words()[phrase]).format(**values)


def _words() -> dict[str, Any]:
    return phrases("phrases/demo")
