"""Problems of API keys, besides those of `errors`."""

from .errors import Conflict, NotFound


class KeyNotFound(NotFound):
    """There is no such API key."""

    code = "key_not_found"


class KeyIsRevoked(Conflict):
    """The API key is revoked, for good."""

    code = "key_revoked"
