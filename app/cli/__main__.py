"""`python -m app.cli` is the same as `todoke`."""

from app.cli import main

main(prog_name="todoke")
