"""Everything in one command: Valkey and PostgreSQL from their wheels, and what keeps them running."""

from .child import Child, EmbeddedError, free_port
from .dev import run_dev
from .postgres import Postgres
from .valkey import Valkey

__all__ = ["Child", "EmbeddedError", "Postgres", "Valkey", "free_port", "run_dev"]
