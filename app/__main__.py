"""`python -m app` is the `leaderboard` command."""

from .cli import main

main()
