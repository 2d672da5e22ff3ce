"""What operators do: namespaces, keys, health."""
