"""The command line: look at the rules without a database, and do what operators do.

Belongs here: one module per group of commands, each thin: read, call one room, print. Not here: rules, SQL, wording for
families. Imports of a command's rooms stay inside the command, so that `todoke check` starts quickly.
To add a group, write `<thing>_commands.py` with functions and name them here.
"""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from app.cli import (
    bulletin_commands,
    demo_command,
    halt_commands,
    household_care_commands,
    household_commands,
    mail_commands,
    operator_commands,
    oversight_commands,
    partner_commands,
    quarantine_commands,
    registry_commands,
    registry_format_commands,
    registry_life_commands,
    seeing_commands,
)
from app.cli.options import end_without_reader


class Commands(TyperGroup):
    """All commands: each ends quietly, with the same status, when the reader of its output goes away."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it printed has left when it ends."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:
            end_without_reader()


main = typer.Typer(
    cls=Commands,
    name="todoke",
    help="Which support a family can get, from when, until when, and why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
main.command("check")(household_commands.check)
main.command("timeline")(household_commands.timeline)
main.command("explain")(household_commands.explain)
main.add_typer(registry_commands.registry, name="registry")
main.command("demo")(demo_command.demo)
registry_commands.registry.command("publish")(operator_commands.publish_registry)
registry_commands.registry.command("import")(registry_format_commands.import_programmes)
registry_commands.registry.command("export")(registry_format_commands.export_programmes)
registry_life_commands.add_to(registry_commands.registry, main)
main.command("run")(demo_command.run)
main.add_typer(operator_commands.database, name="database")
main.add_typer(operator_commands.keys, name="keys")
main.add_typer(mail_commands.mail, name="mail")
main.add_typer(operator_commands.access, name="access")
main.add_typer(household_care_commands.care, name="household")
main.add_typer(halt_commands.halt, name="halt")
main.add_typer(bulletin_commands.bulletin, name="bulletin")
main.command("why")(seeing_commands.explain_way)
main.command("health")(seeing_commands.show_health)
main.add_typer(partner_commands.partner, name="partner")
main.add_typer(quarantine_commands.quarantine, name="quarantine")
main.add_typer(oversight_commands.campaign, name="campaign")
main.command("audit")(oversight_commands.audit)
main.command("watch")(oversight_commands.watch)
