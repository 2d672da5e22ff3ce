"""The client for asyncio. `blocking` is made of it by clients/python/mirror.py."""
