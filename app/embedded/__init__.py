"""Everything in one command: Valkey and PostgreSQL from their wheels, and what keeps them running."""

from app.embedded.child import Child, EmbeddedError, free_port
from app.embedded.dev import run_dev
from app.embedded.postgres import Postgres
from app.embedded.valkey import Valkey

__all__ = ["Child", "EmbeddedError", "Postgres", "Valkey", "free_port", "run_dev"]
