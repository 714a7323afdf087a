"""Mail that comes back, what it adds up to, and the key that signs what goes out.

A mail server hands bounces over one by one (a pipe) or leaves them in a Maildir. Both are for our own return address
only: whom a report is about is proven by the token in it, so nothing else about the server has to be trusted.
"""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import refuse

mail = typer.Typer(help="Mail that comes back, and signing.", no_args_is_help=True)

#: What a mail server takes for "keep it and try again" (sysexits.h).
_TRY_AGAIN = 75
_MOST_BYTES = 5_000_000


@mail.command("returned")
def read_one(
    recipient: Annotated[str, typer.Option(help="The envelope recipient, where the mail server knows it.")] = "",
) -> None:
    """Read one mail that came back from standard input: for a pipe in the mail server's aliases.

    Ends with status 75, so that the mail server keeps the mail and tries again, when it cannot be read now.
    """
    from app.platform.errors import Misconfigured
    from app.safeguards.mail_reports import take_mail_report

    try:
        report = take_mail_report(sys.stdin.buffer.read(_MOST_BYTES), recipient=recipient)
    except Misconfigured as error:
        print(error, file=sys.stderr)
        raise typer.Exit(_TRY_AGAIN) from error
    except Exception as error:
        print(f"not read: {type(error).__name__}; it may be handed over again", file=sys.stderr)
        raise typer.Exit(_TRY_AGAIN) from error
    print(
        " ".join(
            part for part in (report.kind, report.status, "" if report.delivery_id else "(of no mail of ours)") if part
        )
    )


@mail.command("returned-folder")
def read_folder(
    folder: Annotated[
        Path, typer.Argument(help="A Maildir, with `new` and `cur` in it.", file_okay=False, exists=True)
    ],
    every: Annotated[float, typer.Option(help="Look again after so many seconds, for ever; 0: once.")] = 0.0,
) -> None:
    """Read the new mails of a Maildir; what was read moves to `cur`, what nobody understood is flagged there."""
    from app.safeguards.mail_reports import take_mail_report

    if not (folder / "new").is_dir() or not (folder / "cur").is_dir():
        refuse(f"{folder} is no Maildir; expected the folders new and cur in it")
    while True:
        counts: dict[str, int] = {}
        for path in sorted((folder / "new").iterdir()):
            try:
                report = take_mail_report(path.read_bytes()[:_MOST_BYTES])
            except Exception as error:
                counts["left for later"] = counts.get("left for later", 0) + 1
                print(f"{path.name}: not read: {type(error).__name__}", file=sys.stderr)
                continue
            understood = report.delivery_id is not None and report.kind != "unreadable"
            path.rename(folder / "cur" / (path.name + (":2,S" if understood else ":2,F")))
            counts[report.kind] = counts.get(report.kind, 0) + 1
        if counts or not every:
            print(" ".join(f"{name}={count}" for name, count in sorted(counts.items())) or "nothing new", flush=True)
        if not every:
            return
        time.sleep(every)


@mail.command("figures")
def show_figures(days: Annotated[int, typer.Option(min=1, max=365, help="Of the last so many days.")] = 7) -> None:
    """Count mails and what came back; ends with status 1 when something is over the guideline."""
    import datetime as dt

    from app.delivery.returned import figures
    from app.platform import clock
    from app.platform.database import worker_session

    with worker_session() as session:
        counted = figures(session, clock.real_now() - dt.timedelta(days=days))
    for name in ("taken", "hard", "soft", "policy", "complaint"):
        number = getattr(counted, name)
        share = f"  {number / counted.taken:.2%}" if counted.taken and name != "taken" else ""
        print(f"{name:<10} {number:>8}{share}")
    troubles = counted.troubles()
    if troubles:
        print(f"too many: {', '.join(troubles)}", file=sys.stderr)
        raise typer.Exit(1)


@mail.command("signing-key")
def make_signing_key(
    selector: Annotated[str, typer.Argument(help="A new name for each key, such as t202611.")],
    path: Annotated[Path, typer.Argument(help="The file to write; must not exist.")],
    kind: Annotated[str, typer.Option(help="rsa or ed25519; receivers of today want rsa.")] = "rsa",
) -> None:
    """Make a DKIM key, write its private half to a file, and print the DNS record of its public half."""
    from app.delivery.channels.mail_signing import new_key
    from app.platform.errors import Misconfigured
    from app.platform.settings import settings

    try:
        key = new_key(selector, kind)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.private_pem())
    except (Misconfigured, OSError) as error:
        refuse(str(error))
    domain = settings().email.dkim_domain or settings().email.sender_domain
    print(f'{selector}._domainkey.{domain}. TXT "{key.dns_record()}"')
    print(f'TODOKE_EMAIL__DKIM_KEYS={{"{selector}": "{path}"}}')
