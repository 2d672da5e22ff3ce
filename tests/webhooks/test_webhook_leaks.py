"""Where the secrets of webhooks, and the key that encrypts them, must not stand."""

import base64
from pathlib import Path

import httpx

from tests.conftest import Names, Stack
from tests.support.receiver import Receiver, status
from tests.support.waits import until
from tests.support.webhooks import SETTINGS, Hook, arrive

FIRST, SECOND = (base64.b64encode(bytes([i]) * 3 + b"a secret of a webhook" + bytes([i]) * 8).decode() for i in (7, 9))


def forms(text: str) -> list[bytes]:
    """Base64, plain, hex, and base64 without what depends on its neighbours."""
    plain = base64.b64decode(text)
    return [text.encode(), plain, plain.hex().encode(), text[:24].encode()]


FORBIDDEN = [form for text in (FIRST, SECOND, SETTINGS["LEADERBOARD_WEBHOOK_KEY"]) for form in forms(text)]


def test_secrets_stand_in_no_log_answer_table_or_argument(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    """After messages that failed and came, two secrets, and one that was refused."""
    hook = Hook(api, names.fresh(), receiver.url, secret=f"whsec_{FIRST}")
    receiver.behave = status(500)
    hook.grant("g1")
    arrive(receiver, 1)
    assert hook.put(secret=f"whsec_{SECOND}").status_code == 200
    refusals = [
        hook.put(secret=f"whsec_{SECOND}", rotate=True),
        hook.put(secret=f"whsec_{FIRST}!"),
        hook.put(secret=FIRST),
    ]
    assert [answer.status_code for answer in refusals] == [422] * 3
    receiver.behave = status(204)
    until(lambda: hook.deliveries(state="delivered"), "it comes", seconds=20)
    texts = {f"refusal {i}": answer.content for i, answer in enumerate(refusals)}
    paths = [hook.path, "/v1/webhooks", f"{hook.path}/deliveries", f"/v1/namespaces/{hook.name}/events", "/readyz"]
    texts |= {path: api.get(path).content for path in [*paths, "/metrics", f"/v1/namespaces/{hook.name}"]}
    for part in ("serve", "persist"):
        texts[f"{part}: log"] = (stack.folder / f"{part}.log").read_bytes()
        texts[f"{part}: arguments"] = Path(f"/proc/{stack.pid(part)}/cmdline").read_bytes()
    for table in ("webhooks", "webhook_offsets", "webhook_retries", "webhook_deliveries", "audit"):
        texts[table] = "\n".join(row for (row,) in stack.sql(f"SELECT t::text FROM {table} t")).encode()
    for command in (["webhooks", "list"], ["webhooks", "deliveries", hook.name], ["checkconfig"]):
        done = stack.run(*command)
        texts[" ".join(command)] = (done.stdout + done.stderr).encode()
    exported = stack.run("export", "namespaces")
    assert exported.returncode == 0, exported.stderr
    texts["export namespaces"] = exported.stdout.encode()
    leaks = [(name, form) for name, text in texts.items() for form in FORBIDDEN if form in text]
    assert leaks == []
    assert all(
        texts[name]
        for name in ("webhooks", "webhook_deliveries", "/metrics", "persist: arguments", "export namespaces")
    )
