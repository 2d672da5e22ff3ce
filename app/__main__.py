"""`python -m app`, in the wheel `python -m leaderboard_server`, is the `leaderboard` command."""

from .cli import main

main()
