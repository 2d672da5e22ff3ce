"""Which profiles are taken."""

from typing import Any

import pytest

from app.model.errors import Invalid
from app.model.profile import Profile, check_profile


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"display_name": "Zoë <b> 👩‍🚀", "avatar": "https://example.org/a b.png".replace(" ", "%20")},
        {"display_name": "א\u200fב"},
        {"display_name": "x" * 128, "timezone": "Europe/Berlin"},
        {"avatar": "http://[::1]:8080/a.png?b=c#d", "timezone": "UTC"},
        {"avatar": "https://example.org/" + "x" * 492},
        {"avatar": "data:image/png;base64," + "A" * 2_026},
        {"avatar": "data:image/svg+xml;charset=utf-8,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E"},
        {"avatar": "data:image/webp;base64,UklGRg=="},
    ],
)
def test_what_is_taken(fields: dict[str, Any]) -> None:
    profile = Profile(**fields)
    assert check_profile(profile) is profile


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("display_name", ["", "x" * 129, "é" * 129, "a\nb", "a\x00b", "a\x7fb", "\ud800", "a\u202eb", "\u2067a"]),
        ("timezone", ["", "Mars/Olympus", "localtime", "Factory", "../etc/passwd", "europe/berlin", "+02:00"]),
        (
            "avatar",
            [
                *("", "example.org/a.png", "//example.org/a.png", "javascript:alert(1)", "data:,a"),
                *("data:text/html,<script>", "data:image/png", "data:image/png;base64,", "data:image/bmp;base64,AA"),
                *("data:image/svg+xml,<svg xmlns=''>", "data:image/png;base64,é", "DATA:image/png;base64,AA"),
                *("data:image/png;base64," + "A" * 2_027, "data:image/png;base64;x=y,AA", "data:image/png,A\n"),
                *(
                    "ftp://example.org/a",
                    "http://",
                    "https:///a.png",
                    "https://exa mple.org",
                    "https://example.org/a b",
                ),
                *("https://[::1", "https://example.org:port/", "https://example.org:0", "https://e.org/\u2028"),
                *("https://example.org/" + "x" * 493, "https://example.org/\n", " https://example.org/a"),
            ],
        ),
    ],
)
def test_what_is_refused(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(Invalid) as refused:
            check_profile(Profile(**{field: value}))
        assert refused.value.field == f"$.{field}", value
