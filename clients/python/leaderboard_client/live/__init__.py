"""Boards that stay live, by a WebSocket. The rules are those of clients/js."""
