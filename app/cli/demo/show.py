"""The demo from beginning to end: `todoke demo`."""

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from app.cli.demo import cast, ledger
from app.cli.demo.installation import Installation
from app.platform import bell, clock
from app.platform.database import owner_session
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
        _say("サーバーが動き始めました(PostgreSQL、Valkey、見本アプリ、メール、LINE ふうサーバー)")
        clock.shift_to(clock.at_japan_time(DEMO_DAY, DEMO_HOUR))
        named, app = _store(stand_ins, generated)
        installation.start_web()
        installation.start_worker("matcher", bell.WORK_QUEUE, 2)
        _wait("制度との照合とお知らせの計画", _unplanned)
        cast.play_what_happened(cast.read_cast(settings().registry_directory), named)
        _wait("同意の取り消しなどを反映した再計算", _unplanned)
        installation.start_worker("sender", bell.DELIVERY_QUEUE, 1)
        installation.start_beat()
        bell.ring_dispatch()
        _wait("配信", _unsent)
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
            installation.start_worker("matcher", bell.WORK_QUEUE, 1)
            installation.start_worker("sender", bell.DELIVERY_QUEUE, 1)
            installation.start_beat()
            _say(f"保護者: {installation.url}")
            _say(f"届いたメール: {stand_ins.mail_sink.url}")
            _stay_up()


def _publish() -> None:
    registry = load_registry(settings().registry_directory)
    with owner_session() as session:
        report = publish(session, registry, clock.now())
        session.commit()
    _say(f"制度を読み込みました: {len(registry.programmes)}件(新しいもの {len(report.added)})")


def _store(stand_ins: Sandbox, generated: int) -> tuple[dict[str, uuid.UUID], cast.PartnerApp]:
    _publish()
    app = cast.register_sample_app(stand_ins.partner_app.webhook_url)
    stand_ins.partner_app.secrets.append(app.secret)
    named = cast.store_named(cast.read_cast(settings().registry_directory), app)
    stored = cast.store_generated(generated, app, clock.today())
    _say(f"世帯を登録しました: 見本 {len(named)}世帯、つくりものの {stored}世帯(すべて架空)")
    return named, app


def _settings_for(stand_ins: Sandbox) -> dict[str, str]:
    return {
        "TODOKE_DEMO": "true",
        "TODOKE_EMAIL__HOST": stand_ins.mail_sink.smtp_host,
        "TODOKE_EMAIL__PORT": str(stand_ins.mail_sink.smtp_port),
        "TODOKE_LINE__BASE_URL": stand_ins.line_server.url,
        "TODOKE_LINE__CHANNEL_TOKEN": stand_ins.line_server.channel_token,
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
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with _console.status(what) as status:
        while left := remaining():
            if time.monotonic() > give_up_at:
                raise DemoFailed(f"{what}: {left} left after {_PATIENCE_SECONDS} seconds; see the logs of the workers")
            status.update(f"{what}: あと {left}")
            time.sleep(0.3)
    _say(f"{what}: 終わりました")


def _print_summary(stand_ins: Sandbox, arrivals: ledger.Arrivals) -> None:
    counts = ledger.totals()
    table = Table("", "件数", title=f"デモの日付 {DEMO_DAY}(火)に起きたこと", title_justify="left")
    for label, name in (("世帯", "households"), ("受給資格期間", "entitlements"), ("お知らせ", "notices")):
        table.add_row(label, f"{counts[name]:,}")
    for channel, label in zip(_CHANNELS, ("アプリへの署名つき通知", "メール", "LINE ふう"), strict=True):
        done = counts.get(f"{channel} delivered", 0) + counts.get(f"{channel} accepted", 0)
        stopped = counts.get(f"{channel} cancelled", 0)
        table.add_row(f"配信: {label}", f"{done:,}(届いた {arrivals.count(channel):,}、止めた {stopped:,})")
    table.add_row("署名の確認", f"合格 {stand_ins.partner_app.counts.verified:,}、不合格 {arrivals.refused:,}")
    _console.print(table)


def _check(found: Sequence[str], arrivals: ledger.Arrivals, *, write_ledger: bool) -> None:
    _say("届いたこと(見本の世帯): " + ledger.HEADING.removeprefix("# "))
    for line in found:
        _say(f"  {line}")
    if write_ledger:
        LEDGER.write_text("\n".join([ledger.HEADING, *found]) + "\n", encoding="utf-8")
    wrong = ledger.differences(found, LEDGER)
    if wrong:
        raise DemoFailed("the ledger differs from the committed one:\n" + "\n".join(wrong))
    if arrivals.refused:
        raise DemoFailed(f"{arrivals.refused} signatures were refused by the sample app")
    counts = ledger.totals()
    for channel in _CHANNELS:
        done = counts.get(f"{channel} delivered", 0) + counts.get(f"{channel} accepted", 0)
        if not 0 < done == arrivals.count(channel):
            raise DemoFailed(f"{channel}: {done} sent, {arrivals.count(channel)} arrived; expected as many, and some")
    _say("届いたものは、控え(registry_data/demo/ledger.txt)と同じです")


def _print_addresses(
    installation: Installation, stand_ins: Sandbox, named: Mapping[str, uuid.UUID], app: cast.PartnerApp
) -> None:
    shown = ("newborn-setagaya", "four-children", "single-parent")
    families = {name: named[name] for name in shown}
    addresses = {
        **cast.sign_in_addresses(families, app),
        "はじめての保護者": installation.url,
        "見本アプリ": stand_ins.partner_app.url,
        "届いたメール": stand_ins.mail_sink.url,
        "LINE ふう": stand_ins.line_server.url,
        "ログ": str(installation.directory),
    }
    _say("見るところ(サインインのアドレスは一度だけ使えます)")
    for name, address in addresses.items():
        _say(f"  {name}: {address}")


def _stay_up() -> None:
    _say("Ctrl-C で終わります")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        _say("終わります")


def _say(message: str) -> None:
    _console.print(message)
