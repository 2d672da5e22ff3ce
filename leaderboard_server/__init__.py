"""In a clone: `app/` under the name that it has in the wheel, where a package named `app` could meet another one."""

from pathlib import Path

__path__ = [str(Path(__file__).parent.parent / "app")]
