"""Profiles that change all the time cost those who read boards of other users nothing."""

from typing import Any

from app.store import keys

BOARDS = 10
CHANGES = 100


def test_a_profile_that_changes_has_nobody_elses_name_read_again(
    live_server: Any, api: Any, names: Any, direct: Any
) -> None:
    spaces = [names.fresh() for _ in range(BOARDS)]
    for space in spaces:
        assert api.put(f"/v1/namespaces/{space}", json={}).status_code == 201
        body = [{"grant_id": f"g{i}", "user_id": f"{space}-{i}", "amount": i + 1} for i in range(10)]
        assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 200
    shown = f"{spaces[0]}-9"
    assert api.put(f"/v1/users/{shown}", json={"display_name": "Ann"}).status_code == 200
    boards = [f"/v1/namespaces/{space}/boards/all" for space in spaces]
    live_server.wait_published()  # Persisters announce once more what was written just now.
    tags = {board: api.get(board).headers["etag"] for board in boards}
    with direct.monitor() as seen:
        for i in range(CHANGES):
            response = api.put(f"/v1/users/{spaces[0]}-busy", json={"display_name": f"Bea {i}"})
            assert response.status_code == 200
            for board in boards:
                answer = api.get(board, headers={"if-none-match": tags[board]} if i % 2 else {})
                assert answer.status_code == (304 if i % 2 else 200)
        direct.echo("that is all")
        requests: list[list[str]] = []
        while "that is all" not in (reply := seen.next_command())["command"]:
            requests.append(reply["command"].split())
    names_read = [words for words in requests if words[:2] == ["HMGET", keys.PROFILES]]
    whose = [words for words in requests if words[0] == "HMGET" and words[2].startswith("profiles:")]
    # A small question a change, and where a round of the loops falls in between, one more. A persister that comes late
    # may announce that any profile may have changed: then each board reads its names once, and not with each change.
    counts = len(names_read), len(whose), len(requests)
    assert len(names_read) <= BOARDS, counts
    assert 0 < len(whose) <= 3 * CHANGES, counts
    assert api.put(f"/v1/users/{shown}", json={"display_name": "Anna"}).status_code == 200
    changed = api.get(boards[0], headers={"if-none-match": tags[boards[0]]})
    assert (changed.status_code, changed.json()["entries"][0]["display_name"]) == (200, "Anna")
