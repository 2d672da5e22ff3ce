"""Counters in Redis by which every process learns that what it keeps in its caches is old."""

from . import keys
from .redis import Call, evalsha
from .scripts import load

BUMP = load("bump")

NAMESPACES_CHANGED: Call = evalsha(BUMP, [keys.DEPLOYMENT], ["changes"])  # namespaces or API keys
NAMES_CHANGED: Call = evalsha(BUMP, [keys.DEPLOYMENT], ["profiles"])
