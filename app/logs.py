"""Structured logs: one JSON object a line on stderr, never a token."""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Sets up structlog and the standard library's loggers alike."""
    threshold = getattr(logging, level.upper())
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
    # uvicorn logs a WebSocket's URL with its query string, even without an access log.
    logging.getLogger("uvicorn").setLevel(max(threshold, logging.WARNING))
