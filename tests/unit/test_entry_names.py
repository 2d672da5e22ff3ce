"""Texts that name an entry are read as they were written, also those of an earlier release."""

from app.model.entry_names import loss_name, parse_loss_name


def test_the_name_of_what_is_lost_tells_from_where_on_it_counts() -> None:
    assert parse_loss_name(loss_name(3, 7, since_seq=41)) == 41


def test_what_an_earlier_release_recorded_counts_from_its_own_seq_on() -> None:
    assert parse_loss_name("loss:3-7") is None
