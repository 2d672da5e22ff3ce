"""Everything in one command: Valkey and PostgreSQL from their wheels, and what keeps them running."""

from .child import Child, EmbeddedError, free_port
from .dev import run_dev
from .postgres import PostgresProcess
from .valkey import ValkeyProcess

__all__ = ["Child", "EmbeddedError", "PostgresProcess", "ValkeyProcess", "free_port", "run_dev"]
