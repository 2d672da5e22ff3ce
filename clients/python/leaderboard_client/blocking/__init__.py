# Made by clients/python/mirror.py of the module of this name in aio. Do not edit.
"""The client that blocks. It is made of `aio` by clients/python/mirror.py."""
