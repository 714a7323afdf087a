"""What operators do: prepare and migrate the database, make keys, let the first clerk and the first partner in."""

from typing import Annotated

import typer

from app.accounts.roles import Role
from app.cli.options import RegistryFolder, load_tables, open_registry, read_municipality, refuse

database = typer.Typer(help="Roles, database and migrations.", no_args_is_help=True)
keys = typer.Typer(help="Sealing keys.", no_args_is_help=True)
access = typer.Typer(help="Single-use sign-in links for staff and partners.", no_args_is_help=True)


@database.command("prepare")
def prepare(
    admin_url: Annotated[str, typer.Option(envvar="TODOKE_DATABASE__ADMIN_URL", help="As an administrator.")],
    name: Annotated[str, typer.Option(help="Name of the database.")] = "todoke",
) -> None:
    """Make the three login roles and the database; their passwords are those in TODOKE_DATABASE__… addresses."""
    from sqlalchemy import make_url

    from app.platform import schema
    from app.platform.settings import settings

    addresses = settings().database
    urls = {"todoke_owner": addresses.owner_url, "todoke_app": addresses.url, "todoke_worker": addresses.worker_url}
    passwords = {role: make_url(url).password for role, url in urls.items() if url}
    schema.prepare_roles(admin_url, {role: password for role, password in passwords.items() if password})
    schema.prepare_database(admin_url, name)
    print(f"roles {', '.join(urls)} and database {name} are ready")


@database.command("upgrade")
def upgrade() -> None:
    """Run the migrations that are still to come, as todoke_owner."""
    from app.platform import schema
    from app.platform.settings import settings

    if not settings().database.owner_url:
        refuse("TODOKE_DATABASE__OWNER_URL is not set; expected the address as todoke_owner")
    schema.upgrade(settings().database.owner_url)
    print("the database is up to date")


def publish_registry(folder: RegistryFolder = None) -> None:
    """Write the registry's files into the database, as todoke_owner; what has not changed is left alone."""
    from app.platform import clock
    from app.platform.database import owner_session
    from app.registry.versions import publish

    load_tables()
    registry = open_registry(folder)
    with owner_session() as session:
        report = publish(session, registry, clock.now())
        session.commit()
    for name in (*report.added, *report.changed):
        print(f"{'new' if name in report.added else 'changed'}: {name}")
    for name in report.kept:
        print(f"kept as staff approved it, the files say otherwise: {name}")
    print(f"{len(report.added)} new, {len(report.changed)} changed, {report.unchanged} unchanged")


@keys.command("new")
def new_key() -> None:
    """Print a new sealing key (base64 of 32 bytes)."""
    from app.platform.sealing import generate_key

    print(generate_key())


@access.command("staff")
def staff_link(
    municipality: Annotated[str, typer.Argument(help="Six-digit code, such as 131121.", callback=read_municipality)],
    post: Annotated[str, typer.Option(help="The post the account belongs to.")],
    role: Annotated[Role, typer.Option(help="What the account may do.")] = "viewer",
) -> None:
    """Make an account for a post and print its single-use sign-in link."""
    from app.accounts.sign_in import create_link
    from app.accounts.tables import StaffAccount
    from app.platform.database import Context, app_session
    from app.platform.settings import settings

    load_tables()
    with app_session(Context(municipality=municipality)) as session:
        account = StaffAccount(municipality_code=municipality, post=post, role=role)
        session.add(account)
        session.flush()
        token = create_link(session, staff_id=account.id, municipality_code=municipality)
        session.commit()
    typer.echo(f"account {account.id}", err=True)
    print(f"{settings().public_url}/staff/sign-in/{token}")


@access.command("partner")
def partner_link(
    name: Annotated[str, typer.Argument(help="The company or body.")],
    app_name: Annotated[str, typer.Option(help="What parents see.")],
) -> None:
    """Register a partner app and print its single-use sign-in link."""
    from app.accounts.sign_in import create_link
    from app.partners.registration import register_partner
    from app.platform.database import Context, app_session
    from app.platform.identifiers import new_id
    from app.platform.settings import settings

    load_tables()
    partner_id = new_id()
    with app_session(Context(partner=partner_id)) as session:
        register_partner(session, partner_id, name=name, app_name=app_name)
        token = create_link(session, partner_id=partner_id)
        session.commit()
    print(f"{settings().public_url}/partner/sign-in/{token}")
