"""What the benchmark and the end-to-end tests share: frames, namespaces,
processes, the control socket. Nothing but Python's own library."""
