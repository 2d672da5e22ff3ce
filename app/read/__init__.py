"""Boards, standings and history out."""
