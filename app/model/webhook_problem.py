"""Problems of webhooks, besides those of `errors`."""

from .errors import Conflict, NotFound, Unavailable


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    code = "webhook_not_found"


class WebhookConflict(Conflict):
    """The id is taken by a webhook of another key."""

    code = "webhook_conflict"


class NotConfigured(Unavailable):
    """A setting is missing that this needs."""

    code = "not_configured"
