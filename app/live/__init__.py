"""Boards pushed: WebSocket, hub, protocol."""
