"""`leaderboard dev`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..settings import read_settings


def dev(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Keeps all data and the key from run to run; .data.")] = None,
    api_key: Annotated[
        str | None, typer.Option(help="A key with admin:*, lb_<id>_<16+ characters>. The folder keeps it.")
    ] = None,
    demo: Annotated[bool, typer.Option(help="A demonstration that keeps scores moving.")] = True,
    reset: Annotated[
        bool, typer.Option("--reset", help="Deletes scores, ledger, users and logs of the folder; keeps its key.")
    ] = False,
) -> None:
    """Everything in one: Valkey, Postgres, server and persister, embedded."""
    from ..embedded import run_dev

    settings = read_settings(port=port, data_dir=data_dir)
    api_key = settings.api_key if api_key is None else api_key
    folder = settings.data_dir
    sys.exit(run_dev(host=host, port=settings.port, data_dir=folder, api_key=api_key, demo=demo, reset=reset))
