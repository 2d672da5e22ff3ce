"""docs/adding.md lists the files that a change touches: those whose code names an example, no more and no fewer."""

import pytest

from tests.adding import EXAMPLES, files_of, listed


@pytest.mark.parametrize("what", EXAMPLES)
def test_the_page_lists_the_files_whose_code_names_the_example(what: str) -> None:
    assert sorted(listed()[what]) == files_of(EXAMPLES[what])


def test_the_page_has_no_section_without_an_example() -> None:
    assert listed().keys() == EXAMPLES.keys()
