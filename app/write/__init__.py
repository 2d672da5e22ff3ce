"""Grants in: plan, group commit, receipt."""
