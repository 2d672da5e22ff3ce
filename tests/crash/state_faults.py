"""A Redis that has every entry, and not what it was told last of the deployment's state."""

from __future__ import annotations

from typing import Any

from tests.crash.faults import Fault
from tests.crash.field import Field
from tests.crash.loss_faults import cut_log, log_file
from tests.crash.spaces import ICE


class LostState(Fault):
    name = "Redis loses what it was told last of keys and rules, and no entry; no persister runs when it comes back"
    promise = "a revoked key writes nothing, a frozen namespace takes nothing"
    is_short = True

    def inject(self, field: Field) -> None:
        stack, key = field.stack, field.stack.new_key("write:*")
        with field.still(), stack.client() as client:
            # It would tell Redis a moment later.
            stack.kill("persist")
            size = log_file(field).stat().st_size
            stack.revoke(key)
            assert client.put(f"/v1/namespaces/{ICE}", json={"mode": "frozen"}).status_code == 200
            stack.kill("serve")
            cut_log(field, size)
            stack.start("serve")
            bearer = {"authorization": f"Bearer {key}"}
            for space, headers, status in (("sum", bearer, 401), (ICE, {}, 409)):
                body: dict[str, Any] = {"grant_id": "lost-state", "user_id": "u0", "amount": 1}
                answer = client.post(f"/v1/namespaces/{space}/grants", json=body, headers=headers)
                assert answer.status_code == status, answer.text
            assert client.put(f"/v1/namespaces/{ICE}", json={}).status_code == 200

    def heal(self, field: Field) -> None:
        field.stack.start("persist")
