"""The garbage collector of a process that has started: what is there by now stays, and need not be looked at again."""

import gc

_YOUNG_OBJECTS = 50_000
_GENERATIONS = 20


def tune_gc() -> None:
    """Sets what lives aside and looks less often: each pass costs the requests under way, and few leave cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _GENERATIONS, _GENERATIONS)
