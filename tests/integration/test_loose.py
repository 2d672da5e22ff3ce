"""Corrections of a user whose newest grants are not in the ledger yet: of sums, they need not wait for them."""

from tests.conftest import Stack
from tests.support.correction_driver import Space


def test_a_correction_does_not_wait_for_the_grants_that_came_since(own_stack: Stack) -> None:
    with own_stack.client() as api:
        space = Space(api, streaks=True)
        for i, source in enumerate(("race", "race", "race", "raid")):
            space.grant(f"old{i}", 2**i, source=source)
        own_stack.wait_flushed()
        own_stack.stop("persist")
        space.grant("new0", 100)
        space.grant("new1", 100, source="raid")
        # The only one of its source, as far as the ledger knows: whether it stays hangs on what came since.
        assert space.void("old3").status_code == 503
        both = [{"op": "void", "grant_id": "old0"}, {"op": "edit", "grant_id": "old1", "source": "race", "amount": 3}]
        assert api.post(f"{space.url}/corrections", json=both).json()["applied"] == 2
        assert space.board() == {"otter": 215}
        # These are not in the ledger: nothing is planned without them.
        assert space.void("old2").status_code == 503
        assert space.board() == {"otter": 215}
        own_stack.start("persist")
        assert [space.void(grant_id).status_code for grant_id in ("old2", "old3")] == [200] * 2
        own_stack.wait_flushed()
        assert space.board() == {"otter": 203}
        done = own_stack.run("verify", "--quiet")
        assert done.returncode == 0, done.stdout + done.stderr
