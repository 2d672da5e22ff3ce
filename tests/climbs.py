"""`python -m tests.climbs`: how far a request goes through the code, and how many files a change touches.

Functions: those that a handler reaches, in every branch. Calls are followed where the source says what is called: by a
name, by an attribute whose class an annotation gives, or by the class that an annotated function answers. What is
called otherwise is not followed, so the count is a lower bound.

Callbacks: calls of a value (a parameter, an attribute or a list of callables); each function that the value may be is
one. A function that is handed to another function counts where the one that hands it is reached, too.

Climbs: callbacks into a module above: one that imports the module of the call, itself or through others.
"""

import argparse
import ast
from collections.abc import Iterator

from app.routes import ROUTES
from tests.call_graph import Code


def board_handlers(code: Code) -> Iterator[tuple[str, str]]:
    """The routes below a board's path in the table of routes, each with its handler's dotted name. A stream is none of
    them: the hub answers it."""
    handlers = code.attributes(code.by_class_name["Handlers"])
    calls = (node for node in ast.walk(code.modules["app.routes"].tree) if isinstance(node, ast.Call))
    rows = (call for call in calls if ast.unparse(call.func) == "Route")
    for route, row in zip(ROUTES, rows, strict=True):
        handler = row.args[3]
        assert isinstance(handler, ast.Lambda)
        endpoint = handler.body.args[0] if isinstance(handler.body, ast.Call) else handler.body
        if "/boards/" in route.path and not route.is_stream:
            assert isinstance(endpoint, ast.Attribute)
            assert isinstance(endpoint.value, ast.Attribute)
            yield route.path, f"{code.class_in(handlers[endpoint.value.attr])}.{endpoint.attr}"


def main() -> None:
    """Prints a line for each question to a board, or for one function and what it reaches."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("function", nargs="?", help="a dotted name, such as app.read.stats.StatsHandlers.everywhere")
    function_name = arguments.parse_args().function
    code = Code()
    for name, handler in [(function_name, function_name)] if function_name else board_handlers(code):
        reached, callbacks = code.reached(handler)
        climbs = sorted(callback for callback in callbacks if callback.is_climb)
        modules = {code.module_of[function] for function in reached}
        print(f"{len(climbs)} climbs of {len(callbacks)} callbacks,", end=" ")
        print(f"{len(reached)} functions in {len(modules)} modules: {name}")
        for climb in climbs:
            print(f"    {climb.caller} calls {climb.value}: {climb.target}")
        if function_name:
            print(*(f"    {function}" for function in sorted(reached)), sep="\n")


if __name__ == "__main__":
    main()
